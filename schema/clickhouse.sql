-- Views over a recording for ClickHouse (tested with 26.7), which need nothing of mcp-recorder's own.
--
-- Put the place of the recording into the two lines below that name it: `s3('https://...')` for a bucket (with its key and secret as the next
-- two arguments, unless the server has them), or `file('...')`. Then
--
--   SELECT time, principal.name, target, outcome, duration_us FROM operations ORDER BY time DESC LIMIT 20;
--
-- Every column has a type of its own here and none is guessed. What a line does not have is null, or within a tuple all null.
-- `WHERE date = '2026-11-21' AND server = 'github'` reads only those objects. These views prove nothing: `mcp-recorder verify` does.

-- The objects of the recording, by name only.
CREATE OR REPLACE VIEW objects AS
SELECT DISTINCT _path AS object
FROM s3('https://BUCKET.s3.REGION.amazonaws.com/PREFIX/v1/segments/cluster=*/namespace=*/server=*/date=*/*.jsonl.zst', 'One');

-- Each recorded line. A segment that was stored twice (`.r1` to `.r9` before `.jsonl`) counts once.
CREATE OR REPLACE VIEW lines AS
SELECT
  *,
  CAST(extract(_path, 'cluster=([^/]+)/'), 'String') AS cluster,
  CAST(extract(_path, 'namespace=([^/]+)/'), 'String') AS namespace,
  CAST(extract(_path, 'server=([^/]+)/'), 'String') AS server,
  toDate(CAST(extract(_path, 'date=([^/]+)/'), 'String')) AS date
FROM s3('https://BUCKET.s3.REGION.amazonaws.com/PREFIX/v1/segments/cluster=*/namespace=*/server=*/date=*/*.jsonl.zst', 'JSONEachRow', '
    v UInt8,
    stream String,
    seq UInt64,
    time DateTime64(6, \'UTC\'),
    type String,
    exchange Nullable(String),
    part Nullable(UInt64),
    operation Nullable(String),
    call_exchange Nullable(String),
    rpc_id Nullable(String),
    principal Tuple(how Nullable(String), issuer Nullable(String), subject Nullable(String), name Nullable(String), client_id Nullable(String), groups Array(String), cut Nullable(Bool)),
    session Tuple(id Nullable(String), how Nullable(String)),
    protocol Nullable(String),
    client_info Tuple(name Nullable(String), version Nullable(String), cut Nullable(Bool)),
    answered_by Nullable(String),
    content_coding Nullable(String),
    http Tuple(method Nullable(String), target Nullable(String), status Nullable(Int32), client_address Nullable(String), headers Array(Tuple(name String, value Nullable(String)))),
    sse Tuple(prefix Nullable(String), suffix Nullable(String), id Nullable(String), data_lines Nullable(UInt64), partial Nullable(Bool)),
    method Nullable(String),
    target Nullable(String),
    sender Nullable(String),
    outcome Nullable(String),
    cause Nullable(String),
    error_code Nullable(Float64),
    duration_us Nullable(Int64),
    cut Nullable(Bool),
    body_offset Nullable(UInt64),
    body Nullable(String),
    body_encoding Nullable(String),
    wire_bytes Nullable(UInt64),
    withheld Tuple(reason Nullable(String), bytes Nullable(UInt64)),
    masked Array(Tuple(rule String, count UInt64)),
    wire_masked Array(Tuple(rule String, count UInt64)),
    hidden Array(Tuple(rule String, names Array(String))),
    ambiguous Array(String),
    calls Array(Tuple(operation String, kind String, sender String, rpc_id Nullable(String), method String, target Nullable(String), decision Tuple(action String, rule Nullable(String)), continues Nullable(String), cut Nullable(Bool))),
    ended Tuple(parts Nullable(UInt64), how Nullable(String), status Nullable(Int32), bytes_in Nullable(UInt64), bytes_out Nullable(UInt64), released_bytes Nullable(UInt64), duration_us Nullable(Int64), trailers Array(Tuple(name String, value Nullable(String))), open_operations Array(String)),
    denied Tuple(reason Nullable(String), source Nullable(String), principal Tuple(how Nullable(String), issuer Nullable(String), subject Nullable(String), name Nullable(String), client_id Nullable(String), groups Array(String), cut Nullable(Bool)), count Nullable(UInt64), first_time Nullable(DateTime64(6, \'UTC\')), last_time Nullable(DateTime64(6, \'UTC\'))),
    gap Tuple(cause Nullable(String), first_time Nullable(DateTime64(6, \'UTC\')), last_time Nullable(DateTime64(6, \'UTC\')), exchanges Nullable(UInt64), exact Nullable(Bool)),
    config Tuple(kind Nullable(String), before Nullable(String), after Nullable(String), signed_by Nullable(String)),
    open Tuple(segment Nullable(UInt64), previous_root Nullable(String), previous_streams Array(Tuple(stream String, segment Int64, root Nullable(String), how String)), cluster Nullable(String), namespace Nullable(String), server Nullable(String), pod Nullable(String), pod_uid Nullable(String), image Nullable(String), recorder Nullable(String), config Nullable(String), commit Nullable(String), public_key Nullable(String), session_key_id Nullable(String)),
    seal Tuple(segment Nullable(UInt64), first_seq Nullable(UInt64), entries Nullable(UInt64), previous_root Nullable(String), root Nullable(String), last Nullable(Bool), how Nullable(String), recovered_by Nullable(String), checkpoint Nullable(String))
  ', 'zstd')
WHERE NOT match(_path, '\.r[1-9]\.jsonl\.zst$')
   OR replaceRegexpOne(_path, '\.r[1-9]\.jsonl\.zst$', '.jsonl.zst') NOT IN (SELECT object FROM objects)
SETTINGS date_time_input_format = 'best_effort', use_hive_partitioning = 0, input_format_null_as_default = 1;

-- Each HTTP request and what became of it. `how` is null while it runs, and for ever when its recorder died.
CREATE OR REPLACE VIEW exchanges AS
SELECT
  assumeNotNull(exchange) AS exchange,
  any(lines.stream) AS stream,
  any(lines.cluster) AS cluster,
  any(lines.namespace) AS namespace,
  any(lines.server) AS server,
  min(lines.date) AS date,
  min(lines.time) AS time,
  anyIf(lines.principal, type = 'request') AS principal,
  -- A session that the protocol names beats one that was inferred from something else.
  argMaxIf(lines.session, multiIf(
    lines.session.how = 'mcp-session-id', 5, lines.session.how = 'sse-endpoint', 4, lines.session.how = 'trace', 3, lines.session.how = 'client-info', 2, 1
  ), isNotNull(lines.session.id)) AS session,
  any(lines.protocol) AS protocol,
  anyIf(http.method, type = 'request') AS method,
  anyIf(http.target, type = 'request') AS target,
  anyIf(http.client_address, type = 'request') AS client_address,
  anyIf(ended.status, type = 'end') AS status,
  anyIf(ended.how, type = 'end') AS how,
  any(lines.answered_by) AS answered_by,
  anyIf(ended.bytes_in, type = 'end') AS bytes_in,
  anyIf(ended.bytes_out, type = 'end') AS bytes_out,
  anyIf(ended.released_bytes, type = 'end') AS released_bytes,
  anyIf(ended.duration_us, type = 'end') AS duration_us,
  count() AS parts
FROM lines
WHERE isNotNull(lines.exchange) AND isNotNull(lines.part)
GROUP BY lines.exchange;

-- Each JSON-RPC request and notification, from either side, with the result of each request. A request that has none is `unknown` with cause
-- `no_result`: still running, or its recorder died. A result without call (operation is null): the call went through another pod.
CREATE OR REPLACE VIEW operations AS
WITH
  called AS (
    SELECT stream, cluster, namespace, server, date, time, exchange, arrayJoin(calls) AS call, CAST(call.operation, 'Nullable(String)') AS key
    FROM lines
    WHERE notEmpty(calls)
  ),
  answered AS (
    SELECT stream, cluster, namespace, server, date, time, exchange, call_exchange, operation, rpc_id, principal, session, sender, method, target,
      outcome, cause, error_code, duration_us, 1 AS is_there
    FROM lines
    WHERE type = 'result'
  ),
  asked AS (SELECT exchange, principal, session FROM exchanges)
SELECT
  coalesce(called.key, answered.operation) AS operation,
  if(isNull(called.key), answered.stream, called.stream) AS stream,
  if(isNull(called.key), answered.cluster, called.cluster) AS cluster,
  if(isNull(called.key), answered.namespace, called.namespace) AS namespace,
  if(isNull(called.key), answered.server, called.server) AS server,
  if(isNull(called.key), answered.date, called.date) AS date,
  if(isNull(called.key), answered.time, called.time) AS time,
  if(answered.is_there = 1, CAST(answered.time, 'Nullable(DateTime64(6, \'UTC\'))'), NULL) AS result_time,
  if(isNull(called.key), answered.call_exchange, called.exchange) AS exchange,
  answered.exchange AS result_exchange,
  if(isNull(asked.principal.how), answered.principal, asked.principal) AS principal,
  if(isNull(asked.session.id), answered.session, asked.session) AS session,
  if(isNull(called.key), 'request', called.call.kind) AS kind,
  if(isNull(called.key), answered.sender, called.call.sender) AS sender,
  if(isNull(called.key), answered.rpc_id, called.call.rpc_id) AS rpc_id,
  if(isNull(called.key), answered.method, called.call.method) AS method,
  if(isNull(called.key), answered.target, called.call.target) AS target,
  called.call.decision AS decision,
  called.call.continues AS continues,
  if(called.call.kind = 'notification', NULL, coalesce(answered.outcome, 'unknown')) AS outcome,
  if(called.call.kind = 'request' AND answered.is_there = 0, 'no_result', answered.cause) AS cause,
  answered.error_code AS error_code,
  answered.duration_us AS duration_us
FROM called
FULL JOIN answered ON answered.operation = called.key
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
