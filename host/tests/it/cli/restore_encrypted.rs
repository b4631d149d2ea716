//! `atlashub restore` of encrypted backups.

use std::fs;

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use serde_json::json;

use super::restore::{admin_of, back_up, copy_folder, create_project, keyed, run_sql};
use crate::support::{ProgramVars, open_folder};

#[tokio::test(flavor = "multi_thread")]
async fn new_machine_is_restored_from_encrypted_backups_with_the_identity_file() {
    let (old, new) = (open_folder(), open_folder());
    let identity_file = new.path().join("identity.txt");
    let (old, new) = (old.path().join("data"), new.path().join("data"));
    let (key, lost) = (Identity::generate(), Identity::generate());
    let recipients = key.to_public().to_string();
    let serving = ProgramVars::embedded(&old).set("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipients).serve(&[]);
    let admin = admin_of(&serving, &old);
    let shop = create_project(&admin, "Shop").await;
    run_sql(&admin, &shop, "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1), (2)").await;
    let backup = back_up(&admin, "all").await;
    assert_eq!(backup["encrypted"], true, "{backup}");
    serving.kill();

    fs::create_dir(&new).unwrap();
    copy_folder(&old.join("objects"), &new);
    copy_folder(&old.join("secrets"), &new);
    let vars = ProgramVars::embedded(&new);
    let refused = vars.run(&["restore", "everything", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("an age identity is needed"), "{refused:?}");
    assert!(refused.stderr.contains("--identity-file"), "{refused:?}");
    let everything = ["restore", "everything", "--yes", "--identity-file", identity_file.to_str().unwrap()];
    fs::write(&identity_file, lost.to_string().expose_secret()).unwrap();
    let refused = vars.run(&everything);
    assert!(refused.code == Some(1) && refused.stderr.contains("other recipients"), "{refused:?}");
    // The identities of several key pairs can be in one file.
    let both = format!("{}\n{}\n", lost.to_string().expose_secret(), key.to_string().expose_secret());
    fs::write(&identity_file, both).unwrap();
    let restored = vars.run(&everything);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("(Shop) restored"), "{restored:?}");

    let serving = vars.serve(&[]);
    let (_, body) = keyed(&serving, &shop["secretKey"]).get("/v1/db/items?order=id").await;
    assert_eq!(body["rows"], json!([{ "id": 1 }, { "id": 2 }]), "{body}");
    serving.kill();
}
