//! The details of one table.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject};

async fn get(app: &TestApp, project: &TestProject, table: &str) -> Value {
    let name = utf8_percent_encode(table, NON_ALPHANUMERIC);
    let (status, body) = app.admin().get(&project.path(&format!("/tables/{name}"))).await;
    assert_eq!(status, StatusCode::OK, "{table}: {body}");
    body
}

const SHOP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN current_mood AS mood;
    CREATE TABLE makers (id bigint PRIMARY KEY, name text UNIQUE);
    CREATE TABLE items (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        maker bigint REFERENCES makers ON DELETE CASCADE ON UPDATE SET NULL,
        price numeric(10,2) NOT NULL DEFAULT 1.50 CHECK (price > 0),
        feels current_mood DEFAULT 'ok', feelings mood[],
        label text COLLATE \"C\", upper text GENERATED ALWAYS AS (upper(label)) STORED,
        CONSTRAINT one_price UNIQUE (maker, price));
    CREATE TABLE parts (item bigint, number int, PRIMARY KEY (item, number),
        FOREIGN KEY (item) REFERENCES items ON DELETE RESTRICT);
    CREATE INDEX items_label ON items (lower(label)) WHERE price > 10;
    COMMENT ON TABLE items IS 'It''s for sale'; COMMENT ON COLUMN items.price IS 'in euro';
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER noted BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE items ENABLE ROW LEVEL SECURITY;
    CREATE POLICY cheap ON items FOR SELECT USING (price < 100);
    CREATE POLICY own ON items AS RESTRICTIVE FOR UPDATE TO CURRENT_USER USING (true) WITH CHECK (price > 1);";

#[tokio::test]
async fn table_detail_describes_columns_keys_constraints_and_indexes() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql(SHOP).await;
    project.expose("items", "read", "none").await;
    let table = get(&app, &project, "items").await;
    let column =
        |name: &str| table["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap().clone();
    assert_eq!(
        column("id"),
        json!({ "name": "id", "type": "bigint", "nullable": false, "hasDefault": true, "default": null,
            "identity": "always", "generated": null, "primaryKey": true, "enumValues": null, "comment": null })
    );
    assert_eq!(
        column("price"),
        json!({ "name": "price", "type": "numeric(10,2)", "nullable": false, "hasDefault": true, "default": "1.50",
            "identity": null, "generated": null, "primaryKey": false, "enumValues": null, "comment": "in euro" })
    );
    assert_eq!(column("feels")["enumValues"], json!(["sad", "ok", "happy"]));
    assert_eq!(column("feelings")["enumValues"], Value::Null);
    assert_eq!(column("upper")["generated"], "upper(label)");
    assert_eq!(table["primaryKey"], json!(["id"]));
    assert_eq!(
        table["uniqueKeys"],
        json!([{ "name": "items_pkey", "columns": ["id"], "primary": true },
            { "name": "one_price", "columns": ["maker", "price"], "primary": false }])
    );
    let kinds: Vec<&Value> =
        table["constraints"].as_array().unwrap().iter().map(|constraint| &constraint["kind"]).collect();
    assert_eq!(kinds, ["primaryKey", "check", "unique"]);
    assert_eq!(
        table["foreignKeys"],
        json!([{ "name": "items_maker_fkey", "schema": "public", "table": "items", "columns": ["maker"],
            "referencesSchema": "public", "referencesTable": "makers", "referencesColumns": ["id"],
            "onDelete": "cascade", "onUpdate": "setNull" }])
    );
    assert_eq!(table["referencedBy"][0]["table"], "parts");
    assert_eq!(table["referencedBy"][0]["onDelete"], "restrict");
    let indexes = table["indexes"].as_array().unwrap();
    let names: Vec<&Value> = indexes.iter().map(|index| &index["name"]).collect();
    assert_eq!(names, ["items_pkey", "items_label", "one_price"]);
    assert_eq!((&indexes[0]["constraint"], &indexes[1]["constraint"]), (&json!("items_pkey"), &Value::Null));
    assert!(indexes[0]["sizeBytes"].as_i64().unwrap() > 0 && indexes[0]["scans"].is_i64());
    assert_eq!(table["triggers"][0]["name"], "noted");
    assert_eq!(
        (&table["policies"][0]["using"], &table["policies"][0]["callers"]),
        (&json!("(price < (100)::numeric)"), &json!(["secretKey", "publishable", "signedIn"]))
    );
    assert_eq!((&table["policies"][1]["permissive"], &table["policies"][1]["callers"]), (&json!(false), &json!([])));
    assert_eq!(
        table["access"],
        json!([
            { "caller": "secretKey", "select": "all", "insert": "all", "update": "all", "delete": "all",
              "policies": [] },
            { "caller": "publishable", "select": "policies", "insert": "none", "update": "none", "delete": "none",
              "policies": ["cheap"] },
            { "caller": "signedIn", "select": "none", "insert": "none", "update": "none", "delete": "none",
              "policies": ["cheap"] },
        ])
    );
    assert_eq!(table["supports"], json!({ "insert": true, "update": true, "delete": true }));
    assert_eq!(table["securityInvoker"], Value::Null);
}

#[tokio::test]
async fn definition_recreates_the_table() {
    let app = TestApp::start().await;
    let (project, copy) = (app.create_project("Shop").await, app.create_project("Copy").await);
    project.sql(SHOP).await;
    project
        .sql(
            "ALTER TABLE makers FORCE ROW LEVEL SECURITY;
             CREATE VIEW cheap_items WITH (security_invoker = true) AS SELECT id, price FROM items;
             CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM items;
             CREATE TABLE events (at date NOT NULL, id int) PARTITION BY RANGE (at);
             CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');",
        )
        .await;
    let owner = |project: &TestProject| format!("proj_{}_owner", project.id);
    let mut script = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN current_mood AS mood;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        .to_owned();
    let tables = ["makers", "items", "parts", "cheap_items", "totals", "events", "events_2024"];
    for table in tables {
        let definition = get(&app, &project, table).await["definition"].as_str().unwrap().to_owned();
        script.push_str(&definition.replace(&owner(&project), &owner(&copy)));
    }
    copy.sql(&script).await;
    for table in tables {
        let (original, copied) = (get(&app, &project, table).await, get(&app, &copy, table).await);
        let again = copied["definition"].as_str().unwrap().replace(&owner(&copy), &owner(&project));
        assert_eq!(again, original["definition"].as_str().unwrap(), "{table}");
        assert_eq!(copied["forceRowLevelSecurity"], original["forceRowLevelSecurity"], "{table}");
    }
}

#[tokio::test]
async fn partition_has_the_foreign_keys_of_its_table() {
    let app = TestApp::start().await;
    let project = app.create_project("Partitions").await;
    project
        .sql(
            "CREATE TABLE makers (id int PRIMARY KEY);
             CREATE TABLE events (at date, maker int REFERENCES makers) PARTITION BY RANGE (at);
             CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
             CREATE TABLE days (at date PRIMARY KEY) PARTITION BY RANGE (at);
             CREATE TABLE days_2024 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
             CREATE TABLE notes (day date REFERENCES days);",
        )
        .await;
    let (status, listed) = app.admin().get(&project.path("/tables")).await;
    assert_eq!(status, StatusCode::OK, "{listed}");
    let references = |table: &Value| -> Vec<String> {
        let keys = table["foreignKeys"].as_array().unwrap().iter();
        keys.map(|key| key["referencesTable"].as_str().unwrap().to_owned()).collect()
    };
    for (name, expected) in [("events", "makers"), ("events_2024", "makers"), ("notes", "days")] {
        let in_list = listed["items"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap();
        assert_eq!(references(in_list), [expected], "{name}");
        assert_eq!(references(&get(&app, &project, name).await), [expected], "{name}");
    }
    let referring = get(&app, &project, "makers").await["referencedBy"].clone();
    assert_eq!((referring.as_array().unwrap().len(), &referring[0]["table"]), (1, &json!("events")), "{referring}");
}

#[tokio::test]
async fn views_report_supported_writes_and_invoker_privileges() {
    let app = TestApp::start().await;
    let project = app.create_project("Views").await;
    project
        .sql(
            "CREATE TABLE items (id int PRIMARY KEY); CREATE VIEW simple WITH (security_invoker = true) AS TABLE items;
             CREATE VIEW counted AS SELECT count(*) FROM items; CREATE MATERIALIZED VIEW stored AS TABLE items;",
        )
        .await;
    let simple = get(&app, &project, "simple").await;
    assert_eq!(simple["supports"], json!({ "insert": true, "update": true, "delete": true }));
    assert_eq!((&simple["securityInvoker"], &simple["access"][0]["select"]), (&json!(true), &json!("underlying")));
    let counted = get(&app, &project, "counted").await;
    assert_eq!(counted["supports"], json!({ "insert": false, "update": false, "delete": false }));
    assert_eq!((&counted["securityInvoker"], &counted["primaryKey"]), (&json!(false), &json!([])));
    let stored = get(&app, &project, "stored").await;
    assert_eq!((&stored["kind"], &stored["supports"]["update"]), (&json!("materialized_view"), &json!(false)));
}

#[tokio::test]
async fn hostile_names_work_in_path_and_query() {
    let app = TestApp::start().await;
    let project = app.create_project("Names").await;
    for name in ["a/b?c&d=%26 \"q\"", "جدول", "🗂️", "select", ".", "..", "%2F", "+"] {
        project.sql(&format!("CREATE TABLE \"{}\" (id int PRIMARY KEY)", name.replace('"', "\"\""))).await;
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let path = project.path(&format!("/table?name={encoded}"));
        let (status, body) = app.admin().get(&path).await;
        assert_eq!((status, &body["name"]), (StatusCode::OK, &json!(name)), "{body}");
        if !matches!(name, "." | "..") {
            assert_eq!(get(&app, &project, name).await["name"], name);
        }
        let part = |part: &str, more: &str| project.path(&format!("/table/{part}?name={encoded}{more}"));
        let insert = json!({ "changes": [{ "op": "insert", "set": { "id": 7 } }] });
        let (status, body) = app.admin().post(&part("changes", ""), insert).await;
        assert_eq!((status, &body["results"][0]["key"]), (StatusCode::OK, &json!({ "id": 7 })), "{body}");
        let (status, body) = app.admin().get(&part("rows", "&eq.id=7")).await;
        assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "id": 7 }])), "{body}");
        let (status, body) = app.admin().put(&part("exposure", ""), json!({ "publishable": "read" })).await;
        assert_eq!((status, &body["exposure"]["publishable"]), (StatusCode::OK, &json!("read")), "{body}");
        let (status, cell) = app.admin().get(&part("cell", "&eq.id=7&column=id")).await;
        assert_eq!((status, cell), (StatusCode::OK, json!(7)));
        let (_, audit) = app.admin().get("/admin/v1/audit?limit=2").await;
        let entries = audit["items"].as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["target"]));
        let (expose, change, target) = (json!("table.expose"), json!("rows.change"), json!(name));
        assert_eq!(entries.collect::<Vec<_>>(), [(&expose, &target), (&change, &target)]);
    }
    for part in ["rows", "cell", "changes"] {
        let path = project.path(&format!("/table/{part}?limit=1"));
        let (status, _) = match part {
            "changes" => app.admin().post(&path, json!({ "changes": [] })).await,
            _ => app.admin().get(&path).await,
        };
        assert_eq!(status, StatusCode::BAD_REQUEST, "{part}");
    }
    for path in ["/tables/missing", "/tables/Select", "/table?name=missing", "/tables/a%00b"] {
        let (status, body) = app.admin().get(&project.path(path)).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("unknown_table")), "{path}");
    }
}

#[tokio::test]
async fn domains_decide_about_null_defaults_and_enum_values() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project
        .sql(
            "CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE DOMAIN filled AS text NOT NULL; CREATE DOMAIN named AS filled DEFAULT 'x';
             CREATE DOMAIN current AS mood; CREATE DOMAIN latest AS current;
             CREATE DOMAIN bare AS named; ALTER DOMAIN bare DROP DEFAULT;
             CREATE TABLE items (id int, name named, mood latest, bare bare, own named NOT NULL);",
        )
        .await;
    let detail = get(&app, &project, "items").await;
    let (_, page) = app.admin().get(&project.path("/tables")).await;
    let (_, public) = project.secret().get("/v1/db/tables").await;
    for columns in [&detail["columns"], &page["items"][0]["columns"], &public["tables"][0]["columns"]] {
        let facts = columns.as_array().unwrap().iter().map(|column| json!([column["nullable"], column["hasDefault"]]));
        let expected = json!([[true, false], [false, true], [true, false], [false, false], [false, true]]);
        assert_eq!(facts.collect::<Value>(), expected, "{columns}");
    }
    assert_eq!(detail["columns"][2]["enumValues"], json!(["sad", "ok"]));
    let definition = detail["definition"].as_str().unwrap();
    assert!(definition.contains("\"name\" named,\n"), "{definition}");
    assert!(definition.contains("\"own\" named NOT NULL\n"), "{definition}");
}
