use super::*;
use crate::journal::{Change, CommandFilter, LeaseTerms, Step};

/// The tables as version 1 made them.
const VERSION_1: &str = "
CREATE TABLE meta(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE batch(
    first INTEGER PRIMARY KEY, n INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,
    boot TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE chunk(
    dev TEXT NOT NULL, hour INTEGER NOT NULL, first INTEGER NOT NULL, n INTEGER NOT NULL,
    payload BLOB NOT NULL, PRIMARY KEY(dev, hour, first));
CREATE INDEX chunk_hour ON chunk(hour, n);
CREATE TABLE roll_hour(
    dev TEXT NOT NULL, hour INTEGER NOT NULL, point TEXT NOT NULL, n INTEGER NOT NULL,
    avg REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, PRIMARY KEY(dev, hour, point)) WITHOUT ROWID;
CREATE TABLE device(
    id TEXT PRIMARY KEY, adapter TEXT NOT NULL, availability TEXT, problem TEXT, remedy TEXT,
    seen_at INTEGER, info TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE command(
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, device TEXT NOT NULL,
    command TEXT NOT NULL, parameters TEXT NOT NULL, priority TEXT NOT NULL, source TEXT NOT NULL,
    owner TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT, correlation_id TEXT, batch_id TEXT,
    issued_at INTEGER, accepted_at INTEGER NOT NULL, scheduled_at INTEGER, expires_at INTEGER NOT NULL,
    executed_at INTEGER, completed_at INTEGER, attempts INTEGER NOT NULL, max_retries INTEGER NOT NULL,
    verified INTEGER, written INTEGER, requested TEXT, observed TEXT, error_code TEXT,
    error_message TEXT, superseded_by TEXT, reply_topic TEXT, reply_correlation BLOB, redelivery TEXT,
    told INTEGER NOT NULL, events TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE INDEX command_id ON command(id);
CREATE INDEX command_device ON command(device, accepted_at);
CREATE INDEX command_status ON command(status);
CREATE INDEX command_rev ON command(rev);
CREATE INDEX command_redelivery ON command(redelivery) WHERE redelivery IS NOT NULL;
CREATE INDEX command_untold ON command(number) WHERE told = 0;
CREATE TABLE note(space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(space, key)) WITHOUT ROWID;
";

/// A file as version 1 left it: a command that waits, one that ended, and a device.
fn version_1(home: &Home) {
    std::fs::create_dir_all(&home.settings.data_dir).unwrap();
    let db = rusqlite::Connection::open(home.database()).unwrap();
    db.execute_batch(VERSION_1).unwrap();
    db.execute_batch(
        r#"INSERT INTO meta VALUES('installation', x'000102030405060708090a0b0c0d0e0f');
        INSERT INTO meta VALUES('generation', 1), ('clean', 1);
        INSERT INTO command(id, device, command, parameters, priority, source, owner, status, outcome,
            correlation_id, batch_id, accepted_at, expires_at, completed_at, attempts, max_retries, told,
            events, rev)
        VALUES('a', 'roof', 'set_reserve', '{"soc":20}', 'high', 'api', 'mqtt:x', 'completed', 'done',
            'k', 'b', 1000, 61000, 1500, 1, 3, 1, '[]', 6),
          ('w', 'roof', 'set_reserve', '{"soc":30}', 'low', 'api', 'http:y', 'pending', NULL,
            NULL, NULL, 2000, 62000, NULL, 0, 3, 0,
            '[{"at":2000,"status":"pending","by":"http:y","reason":""}]', 7),
          ('gone', 'roof', 'set_reserve', '{}', 'low', 'api', 'http:y', 'completed', 'done', NULL, NULL,
            1, 2, 3, 0, 3, 1, '[]', 5);
        DELETE FROM command WHERE id = 'gone';
        INSERT INTO device VALUES('roof', 'modbus.roof', 'online', NULL, NULL, 5, '{
            "unit": "roof/1", "name": "Dach", "type": "solar_inverter", "protocol": "sunspec",
            "role": "producer", "profile": "sunspec", "manufacturer": "Maker", "model": "X",
            "phases": 3, "capabilities": [], "control": true, "interval": 5000, "commands": [{
              "name": "set_reserve", "parameters": [], "exactly_one": [], "group": "reserve",
              "idempotent": true, "harmless": false, "capability": "power_control",
              "verify_for": 5000}]}');
        PRAGMA user_version = 1;"#,
    )
    .unwrap();
}

#[tokio::test]
async fn a_file_of_version_1_is_taken_over_with_all_that_it_has() {
    let home = Home::new();
    version_1(&home);
    let (journal, recovery) = home.open();
    assert_eq!(home.sql::<i64>("PRAGMA user_version"), 2);
    assert_eq!(journal.installation()[..4], [0, 1, 2, 3]);
    assert_eq!(recovery.waiting.len(), 1);
    let waiting = &recovery.waiting[0];
    assert_eq!((waiting.id.as_str(), waiting.number, waiting.owner.as_str()), ("w", 2, "http:y"));
    assert_eq!((&waiting.lease, waiting.effect, &waiting.reverts), (&None, None, &None));
    let reader = journal.reader();
    let ended = reader.command_by_id("a").await.unwrap().unwrap();
    assert_eq!((ended.status, ended.parameters.number("soc")), (CommandStatus::Completed, Some(20.0)));
    assert_eq!(reader.batch("b").await.unwrap().unwrap().completed, 1);
    let device = &recovery.devices[0].info;
    let spec = &device.commands[0];
    assert_eq!((device.bounds.export, spec.persistent, &spec.safe), (None, false, &None));

    // And it goes on: the same columns as in a new file.
    let revert = Step { command: "set_reserve".to_owned(), parameters: ended.parameters.clone() };
    let leased =
        CommandRow { lease: Some(LeaseTerms { lasts_ms: 60_000, revert }), ..recovery.waiting[0].clone() };
    journal.commit(vec![Change::Update(leased.clone())]).await.unwrap();
    assert_eq!(reader.commands_changed_after(7, 9).await.unwrap(), [(8, leased.clone())]);
    let new = journal.insert_command(command("new")).await.unwrap();
    assert_eq!(new.number, 4, "that of the one that is gone is not used again");
    let since = |since| CommandFilter { since: Some(since), limit: 9, ..CommandFilter::default() };
    for (time, expected) in [(1000, 3), (1001, 2), (2001, 1), (START + 1, 0)] {
        assert_eq!(reader.commands(since(time)).await.unwrap().len(), expected, "{time}");
    }
    journal.close().await.unwrap();
    let (journal, recovery) = home.open();
    assert_eq!(recovery.waiting, [leased, new]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let home = Home::new();
    version_1(&home);
    let db = rusqlite::Connection::open(home.database()).unwrap();
    // Something of ours is in the way of the last step.
    db.execute_batch("CREATE TABLE command_batch(id)").unwrap();
    assert!(home.try_open().is_err());
    assert_eq!(home.sql::<i64>("PRAGMA user_version"), 1);
    let columns = home.sql::<i64>("SELECT count(*) FROM pragma_table_info('command') WHERE name = 'lease'");
    assert_eq!(columns, 0);
    db.execute_batch("DROP TABLE command_batch").unwrap();
    let (journal, recovery) = home.open();
    assert_eq!(recovery.waiting.len(), 1);
    journal.close().await.unwrap();
}
