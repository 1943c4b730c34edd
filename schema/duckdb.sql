-- Views over a recording for DuckDB (tested with 1.5), which need nothing of mcp-recorder's own.
--
--   SET VARIABLE store = 'recordings';       -- a directory, or s3://bucket/prefix with DuckDB's httpfs
--   .read schema/duckdb.sql
--   SELECT time, principal.name, target, outcome, duration_us FROM operations ORDER BY time DESC LIMIT 20;
--
-- Every column has a type of its own here and none is guessed: what callers put into bodies, names and ids stays text, so that no
-- request can change a column's type or make a day unreadable. `WHERE date = '2026-11-21' AND server = 'github'` reads only those objects.
-- These views prove nothing: `mcp-recorder verify` does.

-- Each recorded line. A segment that was stored twice (`.r1` to `.r9` before `.jsonl`) counts once.
CREATE OR REPLACE VIEW lines AS
SELECT * EXCLUDE (filename) REPLACE (TRY_CAST(error_code AS BIGINT) AS error_code)
FROM read_json(
  getvariable('store') || '/v1/segments/cluster=*/namespace=*/server=*/date=*/*.jsonl.zst',
  format = 'newline_delimited',
  compression = 'zstd',
  filename = true,
  hive_partitioning = true,
  hive_types = {'cluster': VARCHAR, 'namespace': VARCHAR, 'server': VARCHAR, 'date': DATE},
  columns = {
    v: 'INTEGER',
    stream: 'VARCHAR',
    seq: 'BIGINT',
    time: 'TIMESTAMP',
    type: 'VARCHAR',
    exchange: 'VARCHAR',
    part: 'BIGINT',
    operation: 'VARCHAR',
    call_exchange: 'VARCHAR',
    rpc_id: 'VARCHAR',
    principal: 'STRUCT(how VARCHAR, issuer VARCHAR, subject VARCHAR, name VARCHAR, client_id VARCHAR, groups VARCHAR[], cut BOOLEAN)',
    session: 'STRUCT(id VARCHAR, how VARCHAR)',
    protocol: 'VARCHAR',
    client_info: 'STRUCT(name VARCHAR, version VARCHAR, cut BOOLEAN)',
    answered_by: 'VARCHAR',
    content_coding: 'VARCHAR',
    http: 'STRUCT(method VARCHAR, target VARCHAR, status INTEGER, client_address VARCHAR, headers STRUCT(name VARCHAR, value VARCHAR)[])',
    sse: 'STRUCT(prefix VARCHAR, suffix VARCHAR, id VARCHAR, data_lines BIGINT, partial BOOLEAN)',
    method: 'VARCHAR',
    target: 'VARCHAR',
    sender: 'VARCHAR',
    outcome: 'VARCHAR',
    cause: 'VARCHAR',
    error_code: 'DOUBLE', -- chosen by the server: a number of any size must not fail the reading
    duration_us: 'BIGINT',
    cut: 'BOOLEAN',
    body_offset: 'BIGINT',
    body: 'VARCHAR',
    body_encoding: 'VARCHAR',
    wire_bytes: 'BIGINT',
    withheld: 'STRUCT(reason VARCHAR, bytes BIGINT)',
    masked: 'STRUCT(rule VARCHAR, count BIGINT)[]',
    wire_masked: 'STRUCT(rule VARCHAR, count BIGINT)[]',
    hidden: 'STRUCT(rule VARCHAR, names VARCHAR[])[]',
    ambiguous: 'VARCHAR[]',
    calls: 'STRUCT(operation VARCHAR, kind VARCHAR, sender VARCHAR, rpc_id VARCHAR, method VARCHAR, target VARCHAR, decision STRUCT(action VARCHAR, rule VARCHAR), continues VARCHAR, cut BOOLEAN)[]',
    ended: 'STRUCT(parts BIGINT, how VARCHAR, status INTEGER, bytes_in BIGINT, bytes_out BIGINT, released_bytes BIGINT, duration_us BIGINT, trailers STRUCT(name VARCHAR, value VARCHAR)[], open_operations VARCHAR[])',
    denied: 'STRUCT(reason VARCHAR, source VARCHAR, principal STRUCT(how VARCHAR, issuer VARCHAR, subject VARCHAR, name VARCHAR, client_id VARCHAR, groups VARCHAR[], cut BOOLEAN), count BIGINT, first_time TIMESTAMP, last_time TIMESTAMP)',
    gap: 'STRUCT(cause VARCHAR, first_time TIMESTAMP, last_time TIMESTAMP, exchanges BIGINT, exact BOOLEAN)',
    config: 'STRUCT(kind VARCHAR, before VARCHAR, after VARCHAR, signed_by VARCHAR)',
    open: 'STRUCT(segment BIGINT, previous_root VARCHAR, previous_streams STRUCT(stream VARCHAR, segment BIGINT, root VARCHAR, how VARCHAR)[], cluster VARCHAR, namespace VARCHAR, server VARCHAR, pod VARCHAR, pod_uid VARCHAR, image VARCHAR, recorder VARCHAR, config VARCHAR, commit VARCHAR, public_key VARCHAR, session_key_id VARCHAR)',
    seal: 'STRUCT(segment BIGINT, first_seq BIGINT, entries BIGINT, previous_root VARCHAR, root VARCHAR, last BOOLEAN, how VARCHAR, recovered_by VARCHAR, checkpoint VARCHAR)'
  }
)
WHERE NOT regexp_matches(filename, '\.r[1-9]\.jsonl\.zst$')
   OR regexp_replace(filename, '\.r[1-9]\.jsonl\.zst$', '.jsonl.zst') NOT IN (
     SELECT file FROM glob(getvariable('store') || '/v1/segments/cluster=*/namespace=*/server=*/date=*/*.jsonl.zst')
   );

-- Each HTTP request and what became of it. `how` is null while it runs, and for ever when its recorder died.
CREATE OR REPLACE VIEW exchanges AS
SELECT
  exchange,
  any_value(stream) AS stream,
  any_value(cluster) AS cluster,
  any_value(namespace) AS namespace,
  any_value(server) AS server,
  min(date) AS date,
  min(time) AS time,
  any_value(principal) FILTER (WHERE type = 'request') AS principal,
  -- A session that the protocol names beats one that was inferred from something else.
  arg_max(session, CASE session.how
    WHEN 'mcp-session-id' THEN 5 WHEN 'sse-endpoint' THEN 4 WHEN 'trace' THEN 3 WHEN 'client-info' THEN 2 ELSE 1
  END) FILTER (WHERE session IS NOT NULL) AS session,
  any_value(protocol) AS protocol,
  any_value(http.method) FILTER (WHERE type = 'request') AS method,
  any_value(http.target) FILTER (WHERE type = 'request') AS target,
  any_value(http.client_address) FILTER (WHERE type = 'request') AS client_address,
  any_value(ended.status) AS status,
  any_value(ended.how) AS how,
  any_value(answered_by) AS answered_by,
  any_value(ended.bytes_in) AS bytes_in,
  any_value(ended.bytes_out) AS bytes_out,
  any_value(ended.released_bytes) AS released_bytes,
  any_value(ended.duration_us) AS duration_us,
  count(*) AS parts
FROM lines
WHERE exchange IS NOT NULL AND part IS NOT NULL
GROUP BY exchange;

-- Each JSON-RPC request and notification, from either side, with the result of each request. A request that has none is `unknown` with cause
-- `no_result`: still running, or its recorder died. A result without call (operation is null): the call went through another pod.
CREATE OR REPLACE VIEW operations AS
WITH
  called AS (
    SELECT stream, cluster, namespace, server, date, time, exchange, unnest(calls) AS call
    FROM lines
    WHERE len(calls) > 0
  ),
  asked AS (SELECT exchange, principal, session FROM exchanges),
  answered AS (
    SELECT * FROM lines WHERE type = 'result'
  )
SELECT
  coalesce(called.call.operation, answered.operation) AS operation,
  coalesce(called.stream, answered.stream) AS stream,
  coalesce(called.cluster, answered.cluster) AS cluster,
  coalesce(called.namespace, answered.namespace) AS namespace,
  coalesce(called.server, answered.server) AS server,
  coalesce(called.date, answered.date) AS date,
  coalesce(called.time, answered.time) AS time,
  answered.time AS result_time,
  coalesce(called.exchange, answered.call_exchange) AS exchange,
  answered.exchange AS result_exchange,
  coalesce(asked.principal, answered.principal) AS principal,
  coalesce(asked.session, answered.session) AS session,
  coalesce(called.call.kind, 'request') AS kind,
  coalesce(called.call.sender, answered.sender) AS sender,
  coalesce(called.call.rpc_id, answered.rpc_id) AS rpc_id,
  coalesce(called.call.method, answered.method) AS method,
  coalesce(called.call.target, answered.target) AS target,
  called.call.decision AS decision,
  called.call.continues AS continues,
  CASE WHEN called.call.kind = 'notification' THEN NULL ELSE coalesce(answered.outcome, 'unknown') END AS outcome,
  CASE WHEN called.call.kind = 'request' AND answered.type IS NULL THEN 'no_result' ELSE answered.cause END AS cause,
  answered.error_code AS error_code,
  answered.duration_us AS duration_us
FROM called
FULL JOIN answered ON answered.operation = called.call.operation
LEFT JOIN asked ON asked.exchange = called.exchange;

-- Requests that were refused before they became exchanges: no or a wrong token, a body that is none, too much. One row stands for `requests`.
CREATE OR REPLACE VIEW denials AS
SELECT
  stream, seq, cluster, namespace, server, date, time,
  denied.reason AS reason,
  denied.source AS source,
  denied.principal AS principal,
  denied.count AS requests,
  denied.first_time AS first_time,
  denied.last_time AS last_time
FROM lines
WHERE type = 'denied';

-- What was not recorded. Beside a gap, that nothing is found proves no absence. `exact` is false where at least so many are missing.
CREATE OR REPLACE VIEW gaps AS
SELECT
  stream, seq, cluster, namespace, server, date, time,
  gap.cause AS cause,
  gap.first_time AS first_time,
  gap.last_time AS last_time,
  gap.exchanges AS exchanges,
  gap.exact AS exact
FROM lines
WHERE type = 'gap';
