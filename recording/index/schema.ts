/**
 * Owns the tables of the index: what is remembered of each segment.
 * Invariant: every row but the interned names belongs to one segment and goes with it, so that the index can follow a store that changes.
 */

/** Counted up with every change of the tables or of what is put into them: an index of another version is made anew. */
export const INDEX_VERSION = 3;

export const TABLES = `
CREATE TABLE places (id INTEGER PRIMARY KEY, cluster TEXT, namespace TEXT, server TEXT, UNIQUE (cluster, namespace, server));
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT UNIQUE, place INTEGER);
CREATE TABLE segments (
  id INTEGER PRIMARY KEY, stream INTEGER, number INTEGER, key TEXT, second TEXT, size INTEGER, version TEXT, checksum INTEGER, text INTEGER,
  problems INTEGER,
  UNIQUE (stream, number)
);
CREATE INDEX segments_second ON segments (second);
CREATE TABLE principals (id INTEGER PRIMARY KEY, json TEXT UNIQUE, name TEXT, subject TEXT, client_id TEXT);
CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT, how TEXT, UNIQUE (name, how));
CREATE TABLE exchanges (id INTEGER PRIMARY KEY, stream INTEGER, name TEXT, UNIQUE (stream, name));

-- What one segment holds of an exchange. time and seq: of its request, null when that is in another segment.
-- called: a call from the client is in the same segment; of the others it must be asked whether there is one.
CREATE TABLE parts (
  exchange INTEGER, segment INTEGER, time INTEGER, seq INTEGER, principal INTEGER, method TEXT, target TEXT, client_address TEXT,
  session INTEGER, strength INTEGER, session_seq INTEGER, status INTEGER, status_seq INTEGER, called INTEGER,
  PRIMARY KEY (exchange, segment)
) WITHOUT ROWID;
CREATE INDEX parts_segment ON parts (segment);
CREATE INDEX parts_session ON parts (session) WHERE session IS NOT NULL;
CREATE INDEX parts_uncalled ON parts (time) WHERE time IS NOT NULL AND called = 0;

-- principal: of the exchange's request, null while that is not known.
CREATE TABLE calls (
  segment INTEGER, exchange INTEGER, time INTEGER, seq INTEGER, place INTEGER, nth INTEGER, principal INTEGER, operation TEXT, kind TEXT,
  sender TEXT, rpc_id TEXT, method TEXT, target TEXT, action TEXT, rule TEXT, continues TEXT, cut INTEGER
);
CREATE INDEX calls_segment ON calls (segment);
CREATE INDEX calls_exchange ON calls (exchange);
CREATE INDEX calls_time ON calls (time);
CREATE INDEX calls_principal ON calls (principal, time);
CREATE INDEX calls_target ON calls (target, time);
CREATE INDEX calls_operation ON calls (operation);

-- called: its call is in the same segment; of the others it must be asked whether there is one.
CREATE TABLE results (
  segment INTEGER, exchange INTEGER, part INTEGER, time INTEGER, seq INTEGER, place INTEGER, operation TEXT, call_exchange TEXT,
  rpc_id TEXT, principal INTEGER, session INTEGER, method TEXT, target TEXT, sender TEXT, outcome TEXT, cause TEXT,
  error_code REAL, duration_us INTEGER, cut INTEGER, called INTEGER
);
CREATE INDEX results_segment ON results (segment);
CREATE INDEX results_exchange ON results (exchange);
CREATE INDEX results_operation ON results (operation);
CREATE INDEX results_uncalled ON results (time) WHERE called = 0;
CREATE INDEX results_outcome ON results (outcome, time);

CREATE TABLE denials (segment INTEGER, time INTEGER, seq INTEGER, place INTEGER, principal INTEGER, json TEXT);
CREATE INDEX denials_segment ON denials (segment);
CREATE INDEX denials_time ON denials (time);
CREATE TABLE gaps (segment INTEGER, time INTEGER, seq INTEGER, place INTEGER, json TEXT);
CREATE INDEX gaps_segment ON gaps (segment);

-- Lines that could not be read: they are told of each time that the segment is looked at.
CREATE TABLE problems (segment INTEGER, line INTEGER, why TEXT);
CREATE INDEX problems_segment ON problems (segment);

-- Each body that has words; its id is the row of the full text.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, segment INTEGER, exchange INTEGER);
CREATE INDEX bodies_segment ON bodies (segment);
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');
`;
