//! The tables, and how a file of an older version becomes one of this version.

use crate::contract::{Result, StoreError};
use rusqlite::{Connection, TransactionBehavior};

/// "USHR": tells our files from other programs' (<https://sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION_ID: i32 = 0x5553_4852;

/// One step a version; `PRAGMA user_version` counts how many a file has taken.
const MIGRATIONS: [&str; 2] = [V1, V2];
const VERSION: i64 = MIGRATIONS.len() as i64;

/// An entry and its delivery are born together and share their id, so they are one row; a click's delivery has no key.
/// Ids begin with the time, so of the indexes that an acceptance writes to, only those of keys, names and clicks are not
/// appended to; of names it keeps hashes, of clicks the ends, which are chance. What is long stands last, so that the rest is read without it.
const V1: &str = "
CREATE TABLE delivery (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL,
  site        TEXT NOT NULL,
  source      TEXT,
  job         TEXT NOT NULL,
  key         TEXT,
  state       TEXT NOT NULL CHECK (state IN ('due', 'blocked', 'orphan', 'delivered', 'dead', 'closed')),
  due_at      INTEGER NOT NULL,
  attempts    INTEGER NOT NULL DEFAULT 0,
  created_at  INTEGER NOT NULL,
  settled_at  INTEGER,
  click       TEXT,          -- that is credited
  needs       TEXT,          -- the click that it waits for
  lane        TEXT,          -- of a refund: our id of its payment, or 'upstream:' and the platform's
  names       TEXT,          -- JSON array
  awaits      TEXT,          -- of an orphan: what its payment may be called, JSON array
  paid        TEXT,          -- of a payment: exact decimal
  currency    TEXT,          -- of what was paid, or of what a refund asks for
  basis       TEXT CHECK (basis IN ('rest', 'part', 'total')),
  amount      TEXT,          -- that a refund asks for: exact decimal
  refunded    TEXT,          -- that went back: exact decimal
  upstream_id TEXT,
  status      INTEGER,
  fingerprint BLOB,
  error       TEXT,
  log         TEXT,          -- JSON array of [first, lasted, times, what came of it]
  body        TEXT NOT NULL,
  trace       TEXT,
  answer      TEXT
) STRICT;
CREATE UNIQUE INDEX delivery_id ON delivery (site, id);
CREATE UNIQUE INDEX delivery_key ON delivery (site, key, source, substr(job, 1, 2)) WHERE key IS NOT NULL;
CREATE INDEX delivery_due ON delivery (due_at) WHERE state = 'due';
CREATE INDEX delivery_state ON delivery (state, created_at);
CREATE INDEX delivery_needs ON delivery (site, needs) WHERE needs IS NOT NULL;
CREATE INDEX delivery_lane ON delivery (site, lane) WHERE lane IS NOT NULL;
CREATE INDEX delivery_click ON delivery (substr(click, -8)) WHERE click IS NOT NULL;
CREATE INDEX delivery_upstream ON delivery (site, upstream_id) WHERE upstream_id IS NOT NULL AND paid IS NOT NULL;

-- How many deliveries are in each state: counting a million takes too long to be asked each second.
CREATE TABLE tally (state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO tally VALUES ('due', 0), ('blocked', 0), ('orphan', 0), ('delivered', 0), ('dead', 0), ('closed', 0);
CREATE TRIGGER delivery_added AFTER INSERT ON delivery BEGIN
  UPDATE tally SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER delivery_moved AFTER UPDATE OF state ON delivery WHEN old.state <> new.state BEGIN
  UPDATE tally SET count = count - 1 WHERE state = old.state;
  UPDATE tally SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER delivery_removed AFTER DELETE ON delivery BEGIN
  UPDATE tally SET count = count - 1 WHERE state = old.state;
END;

-- The record's other names, which are whole in its row, by their hashes.
CREATE TABLE name (hash INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (hash, seq)) STRICT, WITHOUT ROWID;
-- What orphans call their payments.
CREATE TABLE orphan (
  site TEXT NOT NULL,
  name TEXT NOT NULL,
  seq  INTEGER NOT NULL,
  PRIMARY KEY (site, name, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE link (
  site       TEXT NOT NULL,
  name       TEXT NOT NULL,
  source     TEXT NOT NULL,
  alias_of   TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (site, name, source, alias_of)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_alias ON link (site, alias_of);
CREATE INDEX link_created ON link (created_at);
CREATE TABLE order_binding (
  site         TEXT NOT NULL,
  order_id     TEXT NOT NULL,
  click        TEXT NOT NULL,
  contested_by TEXT,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (site, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_click ON order_binding (site, click);
CREATE INDEX order_contested ON order_binding (site, contested_by) WHERE contested_by IS NOT NULL;
CREATE INDEX order_created ON order_binding (created_at);

CREATE TABLE click (
  site       TEXT NOT NULL,
  id         TEXT NOT NULL,
  affiliate  TEXT NOT NULL,
  visitor    BLOB,
  created_at INTEGER NOT NULL,
  upstream   TEXT NOT NULL CHECK (upstream IN ('same', 'pending', 'known', 'refused')),
  value      TEXT,
  PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX click_visitor ON click (site, visitor, created_at) WHERE visitor IS NOT NULL;
CREATE INDEX click_created ON click (created_at);

CREATE TABLE customer (
  seq        INTEGER PRIMARY KEY,
  hash       INTEGER NOT NULL,
  site       TEXT NOT NULL,
  customer   TEXT NOT NULL,
  click      TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX customer_hash ON customer (hash);

CREATE TABLE code (
  site  TEXT NOT NULL,
  code  TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (site, code)
) STRICT, WITHOUT ROWID;
CREATE TABLE code_use (
  site TEXT NOT NULL,
  code TEXT NOT NULL,
  uses INTEGER NOT NULL,
  PRIMARY KEY (site, code)
) STRICT, WITHOUT ROWID;

-- Other processes write codes too; this number tells the service that one did.
CREATE TABLE code_revision (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL) STRICT;
INSERT INTO code_revision VALUES (1, 0);
CREATE TRIGGER code_added AFTER INSERT ON code BEGIN UPDATE code_revision SET revision = revision + 1; END;
CREATE TRIGGER code_changed AFTER UPDATE ON code BEGIN UPDATE code_revision SET revision = revision + 1; END;
CREATE TRIGGER code_removed AFTER DELETE ON code BEGIN UPDATE code_revision SET revision = revision + 1; END;
CREATE TRIGGER use_added AFTER INSERT ON code_use BEGIN UPDATE code_revision SET revision = revision + 1; END;
CREATE TRIGGER use_changed AFTER UPDATE ON code_use BEGIN UPDATE code_revision SET revision = revision + 1; END;
CREATE TRIGGER use_removed AFTER DELETE ON code_use BEGIN UPDATE code_revision SET revision = revision + 1; END;

-- Written to find out whether writing works.
CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);
";

/// A person's data may be erased by another process; this number tells the service, which remembers clicks.
const V2: &str = "
CREATE TABLE erasure (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL) STRICT;
INSERT INTO erasure VALUES (1, 0);
";

/// Brings the file up to this version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(StoreError::Settings("store url: the file is another program's database".to_owned()));
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(steps) = MIGRATIONS.get(done..) else {
        return Err(StoreError::Settings(format!(
            "store url: the file was written by a newer Usher (its schema is {version}, this one knows {VERSION})"
        )));
    };
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::super::{clicks, lanes, ledger, names, orders, outbox, people, upkeep};
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("a connection")
    }

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
        let mut rows = statement.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().expect(sql) {
            lines.push(row.get::<_, String>(3).expect(sql));
        }
        lines.join("; ")
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = memory();
        migrate(&mut connection).expect("first");
        migrate(&mut connection).expect("second");
    }

    #[test]
    fn the_index_of_keys_tells_jobs_apart_by_two_letters() {
        let mut begins: Vec<_> = usher_model::Job::ALL.iter().map(|job| &job.word()[..2]).collect();
        begins.sort_unstable();
        begins.dedup();
        assert_eq!(begins.len(), usher_model::Job::ALL.len());
    }

    #[test]
    fn foreign_and_newer_files_are_refused() {
        let mut foreign = memory();
        foreign.execute_batch("CREATE TABLE theirs (x)").expect("a table");
        assert!(
            matches!(migrate(&mut foreign), Err(StoreError::Settings(why)) if why.contains("another program"))
        );

        let mut newer = memory();
        migrate(&mut newer).expect("ours");
        newer.pragma_update(None, "user_version", 99).expect("a version");
        assert!(matches!(migrate(&mut newer), Err(StoreError::Settings(why)) if why.contains("newer")));
    }

    #[test]
    fn hot_queries_are_index_lookups() {
        let mut connection = memory();
        migrate(&mut connection).expect("a schema");
        for (sql, index) in [
            (ledger::FIND_KEY, "delivery_key"),
            (ledger::FIND_CUSTOMER, "customer_hash"),
            (names::FIND_KEYED, "delivery_key"),
            (names::FIND_NAMED, "PRIMARY KEY"),
            (names::FIND_UPSTREAM, "delivery_upstream"),
            (names::FIND_RECORD, "delivery_id"),
            (names::ORPHANS, "PRIMARY KEY"),
            (names::LINKED_TO, "PRIMARY KEY"),
            (names::LINKED_FROM, "link_alias"),
            (lanes::HAS_DUE, "delivery_lane"),
            (lanes::OLDEST_BLOCKED, "delivery_lane"),
            (orders::FIND, "PRIMARY KEY"),
            (outbox::DUE, "delivery_due"),
            (outbox::LATER, "delivery_due"),
            (outbox::FIND, "delivery_id"),
            (outbox::OLDEST, "delivery_state"),
            (people::FIND, "delivery_click"),
            (people::LIST, "delivery_state"),
            (upkeep::RECORDS, "delivery_lane"),
            (upkeep::REFUNDS, "delivery_lane"),
            (upkeep::CLICKS, "delivery_needs"),
            (upkeep::ORDERS, "order_created"),
            (upkeep::LINKS, "link_created"),
            (clicks::SET_FREE, "delivery_needs"),
            (clicks::FIND, "PRIMARY KEY"),
            (clicks::NEWEST, "click_visitor"),
        ] {
            let plan = plan(&connection, sql);
            let plan = plan.replace("SCAN json_each", "");
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{sql}: {plan}");
            // Only the few that a name or a payment has are sorted, or those of one millisecond.
            let plan = plan.replace("USE TEMP B-TREE FOR LAST TERM OF ORDER BY", "");
            let few = [lanes::OLDEST_BLOCKED, names::FIND_NAMED, people::FIND].contains(&sql);
            assert!(few || !plan.contains("TEMP B-TREE FOR"), "{sql}: {plan}");
        }
    }
}
