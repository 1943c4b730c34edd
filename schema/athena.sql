-- A table and views over a recording for Amazon Athena (engine version 3), which need nothing of mcp-recorder's own.
--
-- Put the place of the recording for BUCKET/PREFIX (two lines), and the names of your clusters, namespaces and servers into the `.values` lines.
-- Partitions are computed, never crawled: `WHERE "date" = '2026-11-21' AND server = 'github'` reads only those objects, and new days are there
-- by themselves. Run the statements one after the other. Then
--
--   SELECT time, principal.name, target, outcome, duration_us FROM operations WHERE "date" >= '2026-11-01' ORDER BY time DESC LIMIT 20;
--
-- Every column has a type of its own here and none is guessed. Times are text of a fixed width, which sorts as the times it means;
-- from_iso8601_timestamp_nanos(time) makes a timestamp of it. These views prove nothing: `mcp-recorder verify` does.

-- Each recorded line, also of segments that were stored twice: the view `lines` counts those once. (`open.commit` is left out: Hive reserves its name.)
CREATE EXTERNAL TABLE IF NOT EXISTS recorded (
  `v` int,
  `stream` string,
  `seq` bigint,
  `time` string,
  `type` string,
  `exchange` string,
  `part` bigint,
  `operation` string,
  `call_exchange` string,
  `rpc_id` string,
  `principal` struct<how:string,issuer:string,subject:string,name:string,client_id:string,groups:array<string>,cut:boolean>,
  `session` struct<id:string,how:string>,
  `protocol` string,
  `client_info` struct<name:string,version:string,cut:boolean>,
  `answered_by` string,
  `content_coding` string,
  `http` struct<method:string,target:string,status:int,client_address:string,headers:array<struct<name:string,value:string>>>,
  `sse` struct<prefix:string,suffix:string,id:string,data_lines:bigint,partial:boolean>,
  `method` string,
  `target` string,
  `sender` string,
  `outcome` string,
  `cause` string,
  `error_code` double,
  `duration_us` bigint,
  `cut` boolean,
  `body_offset` bigint,
  `body` string,
  `body_encoding` string,
  `wire_bytes` bigint,
  `withheld` struct<reason:string,bytes:bigint>,
  `masked` array<struct<rule:string,count:bigint>>,
  `wire_masked` array<struct<rule:string,count:bigint>>,
  `hidden` array<struct<rule:string,names:array<string>>>,
  `ambiguous` array<string>,
  `calls` array<struct<operation:string,kind:string,sender:string,rpc_id:string,method:string,target:string,decision:struct<action:string,rule:string>,continues:string,cut:boolean>>,
  `ended` struct<parts:bigint,how:string,status:int,bytes_in:bigint,bytes_out:bigint,released_bytes:bigint,duration_us:bigint,trailers:array<struct<name:string,value:string>>,open_operations:array<string>>,
  `denied` struct<reason:string,source:string,principal:struct<how:string,issuer:string,subject:string,name:string,client_id:string,groups:array<string>,cut:boolean>,count:bigint,first_time:string,last_time:string>,
  `gap` struct<cause:string,first_time:string,last_time:string,exchanges:bigint,exact:boolean>,
  `config` struct<kind:string,before:string,after:string,signed_by:string>,
  `open` struct<segment:bigint,previous_root:string,previous_streams:array<struct<stream:string,segment:bigint,root:string,how:string>>,cluster:string,namespace:string,server:string,pod:string,pod_uid:string,image:string,recorder:string,config:string,public_key:string,session_key_id:string>,
  `seal` struct<segment:bigint,first_seq:bigint,entries:bigint,previous_root:string,root:string,last:boolean,how:string,recovered_by:string,checkpoint:string>
)
PARTITIONED BY (`cluster` string, `namespace` string, `server` string, `date` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat' OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://BUCKET/PREFIX/v1/segments/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.cluster.type' = 'enum',
  'projection.cluster.values' = 'local',
  'projection.namespace.type' = 'enum',
  'projection.namespace.values' = 'local',
  'projection.server.type' = 'enum',
  'projection.server.values' = 'github,everything',
  'projection.date.type' = 'date',
  'projection.date.format' = 'yyyy-MM-dd',
  'projection.date.range' = '2026-01-01,NOW',
  'projection.date.interval' = '1',
  'projection.date.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://BUCKET/PREFIX/v1/segments/cluster=${cluster}/namespace=${namespace}/server=${server}/date=${date}/'
);

-- Each recorded line. A segment that was stored twice (`.r1` to `.r9` before `.jsonl`) counts once.
CREATE OR REPLACE VIEW lines AS
SELECT *
FROM recorded
WHERE NOT regexp_like("$path", '\.r[1-9]\.jsonl\.zst$')
   OR regexp_replace("$path", '\.r[1-9]\.jsonl\.zst$', '.jsonl.zst') NOT IN (SELECT DISTINCT "$path" FROM recorded);

-- Each HTTP request and what became of it. `how` is null while it runs, and for ever when its recorder died.
CREATE OR REPLACE VIEW exchanges AS
SELECT
  exchange,
  arbitrary(stream) AS stream,
  arbitrary(cluster) AS cluster,
  arbitrary(namespace) AS namespace,
  arbitrary(server) AS server,
  min("date") AS "date",
  min(time) AS time,
  arbitrary(principal) FILTER (WHERE type = 'request') AS principal,
  -- A session that the protocol names beats one that was inferred from something else.
  max_by(session, CASE session.how
    WHEN 'mcp-session-id' THEN 5 WHEN 'sse-endpoint' THEN 4 WHEN 'trace' THEN 3 WHEN 'client-info' THEN 2 ELSE 1
  END) FILTER (WHERE session.id IS NOT NULL) AS session,
  arbitrary(protocol) AS protocol,
  arbitrary(http.method) FILTER (WHERE type = 'request') AS method,
  arbitrary(http.target) FILTER (WHERE type = 'request') AS target,
  arbitrary(http.client_address) FILTER (WHERE type = 'request') AS client_address,
  arbitrary(ended.status) FILTER (WHERE type = 'end') AS status,
  arbitrary(ended.how) FILTER (WHERE type = 'end') AS how,
  arbitrary(answered_by) AS answered_by,
  arbitrary(ended.bytes_in) FILTER (WHERE type = 'end') AS bytes_in,
  arbitrary(ended.bytes_out) FILTER (WHERE type = 'end') AS bytes_out,
  arbitrary(ended.released_bytes) FILTER (WHERE type = 'end') AS released_bytes,
  arbitrary(ended.duration_us) FILTER (WHERE type = 'end') AS duration_us,
  count(*) AS parts
FROM lines
WHERE exchange IS NOT NULL AND part IS NOT NULL
GROUP BY exchange;

-- Each JSON-RPC request and notification, from either side, with the result of each request. A request that has none is `unknown` with cause
-- `no_result`: still running, or its recorder died. A result without call (operation is null): the call went through another pod.
CREATE OR REPLACE VIEW operations AS
WITH
  called AS (
    SELECT l.stream, l.cluster, l.namespace, l.server, l."date", l.time, l.exchange,
      c.operation, c.kind, c.sender, c.rpc_id, c.method, c.target, c.decision, c.continues
    FROM lines AS l
    CROSS JOIN UNNEST(l.calls) AS c (operation, kind, sender, rpc_id, method, target, decision, continues, cut)
  ),
  answered AS (
    SELECT * FROM lines WHERE type = 'result'
  ),
  asked AS (
    SELECT exchange, principal, session FROM exchanges
  )
SELECT
  coalesce(called.operation, answered.operation) AS operation,
  coalesce(called.stream, answered.stream) AS stream,
  coalesce(called.cluster, answered.cluster) AS cluster,
  coalesce(called.namespace, answered.namespace) AS namespace,
  coalesce(called.server, answered.server) AS server,
  coalesce(called."date", answered."date") AS "date",
  coalesce(called.time, answered.time) AS time,
  answered.time AS result_time,
  coalesce(called.exchange, answered.call_exchange) AS exchange,
  answered.exchange AS result_exchange,
  coalesce(asked.principal, answered.principal) AS principal,
  coalesce(asked.session, answered.session) AS session,
  coalesce(called.kind, 'request') AS kind,
  coalesce(called.sender, answered.sender) AS sender,
  coalesce(called.rpc_id, answered.rpc_id) AS rpc_id,
  coalesce(called.method, answered.method) AS method,
  coalesce(called.target, answered.target) AS target,
  called.decision AS decision,
  called.continues AS continues,
  CASE WHEN called.kind = 'notification' THEN NULL ELSE coalesce(answered.outcome, 'unknown') END AS outcome,
  CASE WHEN called.kind = 'request' AND answered.type IS NULL THEN 'no_result' ELSE answered.cause END AS cause,
  answered.error_code AS error_code,
  answered.duration_us AS duration_us
FROM called
FULL JOIN answered ON answered.operation = called.operation
LEFT JOIN asked ON asked.exchange = called.exchange;

-- Requests that were refused before they became exchanges: no or a wrong token, a body that is none, too much. One row stands for `requests`.
CREATE OR REPLACE VIEW denials AS
SELECT
  stream, seq, cluster, namespace, server, "date", time,
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
  stream, seq, cluster, namespace, server, "date", time,
  gap.cause AS cause,
  gap.first_time AS first_time,
  gap.last_time AS last_time,
  gap.exchanges AS exchanges,
  gap.exact AS exact
FROM lines
WHERE type = 'gap';
