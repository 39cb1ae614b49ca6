-- Settings: names, units, contexts, and descriptions, which are full sentences.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT name, boot_val, unit, context, vartype, min_val, max_val FROM pg_settings WHERE name LIKE 'pg_rill.%' ORDER BY name COLLATE "C";
SELECT name, short_desc FROM pg_settings WHERE name LIKE 'pg_rill.%' AND short_desc !~ '^[A-Z].* .*\.$';
SELECT name, extra_desc FROM pg_settings WHERE name LIKE 'pg_rill.%' AND extra_desc <> '' AND extra_desc !~ '^[A-Z0-9].* .*\.$';
SELECT name, category FROM pg_settings WHERE name LIKE 'pg_rill.%' AND category <> 'Customized Options';

-- The prefix is reserved.
SET pg_rill.no_such_setting = 1;

-- Who may set what, and within which bounds.
-- The wording of the bounds differs between server versions; the bounds themselves are above.
\set VERBOSITY sqlstate
SET pg_rill.max_chunk_bytes = 0;
SET pg_rill.max_chunk_bytes = '1 GB';
\set VERBOSITY default
CALL pg_temp.refused('SET pg_rill.recheck_interval = 100');
CALL pg_temp.refused('SET pg_rill.wakeups = off');
CALL pg_temp.refused('SET pg_rill.cached_streams = 100');
SET pg_rill.max_chunk_bytes = '20MB';
SHOW pg_rill.max_chunk_bytes;
RESET pg_rill.max_chunk_bytes;
CREATE ROLE regress_rill_settings;
SET ROLE regress_rill_settings;
CALL pg_temp.refused('SET pg_rill.max_chunk_bytes = ''20MB''');
RESET ROLE;
DROP ROLE regress_rill_settings;
