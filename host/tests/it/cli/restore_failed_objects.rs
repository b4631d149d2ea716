//! `atlashub restore project --skip-failed-objects`.

use crate::{
    cli::restore::{admin_of, back_up, create_project, run_sql},
    support::{ProgramVars, open_folder},
};

/// SQL that creates an index whose function fails in a database that a restore loads.
const SQL: &str = "CREATE FUNCTION here(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        IF current_database() LIKE '%\\_restore\\_%' THEN RAISE EXCEPTION 'not at home'; END IF; RETURN x; END $$;
    CREATE TABLE items (x int PRIMARY KEY); INSERT INTO items VALUES (1), (2);
    CREATE INDEX at_home ON items (here(x))";

#[tokio::test(flavor = "multi_thread")]
async fn command_leaves_failed_objects_out_and_lists_them_with_the_flag() {
    let folder = open_folder();
    let data = folder.path().join("data");
    let vars = ProgramVars::embedded(&data);
    let serving = vars.serve(&[]);
    let admin = admin_of(&serving, &data);
    let shop = create_project(&admin, "Shop").await;
    let id = shop["project"]["id"].as_str().unwrap();
    run_sql(&admin, &shop, SQL).await;
    back_up(&admin, &format!("project:{id}")).await;
    serving.end();

    let strict = vars.run(&["restore", "project", id, "--yes"]);
    assert_eq!(strict.code, Some(1), "{strict:?}");
    for expected in ["INDEX public.at_home: not at home", "--skip-failed-objects"] {
        assert!(strict.stderr.contains(expected), "{expected}: {strict:?}");
    }
    let lenient = vars.run(&["restore", "project", id, "--yes", "--skip-failed-objects"]);
    assert_eq!(lenient.code, Some(0), "{lenient:?}");
    for expected in ["1 table, 2 rows", "INDEX public.at_home: not at home"] {
        assert!(lenient.stdout.contains(expected), "{expected}: {lenient:?}");
    }
}
