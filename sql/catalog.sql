-- The extension's objects: comments, privileges, what pg_dump carries, how functions are marked.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

CREATE TEMP VIEW members AS
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
   WHERE e.extname = 'pg_rill' AND d.deptype = 'e';

-- Every object has a comment (row types and indexes aside).
SELECT pg_describe_object(classid, objid, 0) AS without_comment FROM members
 WHERE classid <> 'pg_type'::regclass AND coalesce(obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)), '') = '' ORDER BY 1;
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension FROM pg_extension WHERE extname = 'pg_rill';

-- Every name is stream or begins with stream_.
SELECT pg_describe_object(classid, objid, 0) FROM members
 WHERE pg_describe_object(classid, objid, 0) !~ '^(table|view|sequence|function|procedure|type) stream(_[a-z_]+)?(\[\])?(\(|$)' ORDER BY 1;

-- Nothing is granted to PUBLIC or to any role but the owner.
SELECT p.oid::regprocedure AS function, a.grantee::regrole, a.privilege_type
  FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid,
       aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner ORDER BY 1;
SELECT c.oid::regclass AS relation, a.grantee::regrole, a.privilege_type
  FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid,
       aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) a WHERE a.grantee <> c.relowner ORDER BY 1;

-- No function runs with the rights of its owner.
SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid WHERE p.prosecdef;

-- pg_dump carries the rows of the tables and the sequence's state.
SELECT c.oid::regclass AS dumped, coalesce(condition, '') AS condition
  FROM pg_extension e, unnest(e.extconfig, e.extcondition) x(oid, condition) JOIN pg_class c USING (oid)
 WHERE e.extname = 'pg_rill' ORDER BY c.oid::regclass::text;
SELECT m.objid::regclass AS not_dumped FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
  JOIN pg_extension e ON e.extname = 'pg_rill' WHERE c.relkind IN ('r', 'S') AND NOT (c.oid = ANY (e.extconfig));

-- It is not relocatable.
SELECT extrelocatable FROM pg_extension WHERE extname = 'pg_rill';
CALL pg_temp.refused('ALTER EXTENSION pg_rill SET SCHEMA pg_temp');
SELECT superuser, trusted, relocatable, requires FROM pg_available_extension_versions WHERE name = 'pg_rill' AND installed;

-- The tables.
SELECT relname, relkind, relpersistence, relhastriggers, relrowsecurity FROM members m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
 ORDER BY relname;
SELECT conrelid::regclass AS relation, pg_get_constraintdef(oid) AS primary_key FROM pg_constraint
 WHERE contype = 'p' AND conrelid IN (SELECT objid FROM members) ORDER BY 1;
SELECT attrelid::regclass::text AS relation, attname, format_type(atttypid, atttypmod) AS type, attnotnull
  FROM pg_attribute WHERE attrelid IN ('stream'::regclass, 'stream_chunk'::regclass, 'stream_producer'::regclass) AND attnum > 0
   AND attname IN ('stream_id', 'name', 'owner', 'created_at', 'chunk_id', 'epoch', 'appended_at', 'eof', 'data') ORDER BY 1, attnum;
-- no transaction id is stored in a row
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN (SELECT objid FROM members) AND attnum > 0 AND atttypid IN ('xid'::regtype, 'xid8'::regtype, 'pg_snapshot'::regtype);
