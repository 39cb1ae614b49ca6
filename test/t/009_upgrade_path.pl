# Every released version can be updated to the current one and is then identical to a fresh install; an update does not
# disturb streams or active sessions.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', extension => 0);
my $directory = $node->config_data('--sharedir') . '/extension';
my ($current) = slurp_file("$directory/pg_rill.control") =~ /^default_version\s*=\s*'(.*)'/m;

# All objects of the extension, as text.
my $describe = <<'SQL';
WITH member AS (SELECT classid, objid FROM pg_depend
                 WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rill') AND deptype = 'e'),
     relation AS (SELECT c.* FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid)
SELECT 'member ' || pg_describe_object(classid, objid, 0) FROM member
UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) || coalesce(p.proacl::text, 'default') || coalesce(obj_description(p.oid, 'pg_proc'), '')
  FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
UNION ALL SELECT format('relation %s %s %s %s %s', relname, relkind, reloptions, relacl, obj_description(oid, 'pg_class')) FROM relation
UNION ALL SELECT format('view %s', pg_get_viewdef(oid)) FROM relation WHERE relkind = 'v'
UNION ALL SELECT format('column %s %s %s %s %s %s %s %s %s', relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
                        attcollation::regcollation, pg_get_expr(adbin, adrelid), col_description(r.oid, attnum))
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = attnum WHERE attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) FROM pg_index JOIN relation ON indrelid = oid
UNION ALL SELECT format('constraint %s %s', conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k JOIN relation r ON conrelid = r.oid
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN relation r ON tgrelid = r.oid
UNION ALL SELECT format('dumped %s %s', t::regclass, c) FROM pg_extension, unnest(extconfig, extcondition) AS u(t, c) WHERE extname = 'pg_rill'
ORDER BY 1
SQL
$node->safe_psql('postgres', "CREATE DATABASE fresh");
my $fresh = session($node, 'fresh');
$fresh->run('CREATE EXTENSION pg_rill');
my $wanted = $fresh->run($describe);
ok($wanted =~ /^column stream_chunk 6 data bytea t.*^index .*^member function stream_append\(.*^trigger /ms, 'the description of an installation is not empty');

my @released = sort map { m{pg_rill--([^-]+)\.sql$} ? $1 : () } glob "$directory/pg_rill--*.sql";
ok((grep { $_ eq $current } @released), 'the current version has an install script');
for my $version (@released)
{
	my $database = 'from_' . ($version =~ s/\W/_/gr);
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $session = session($node, $database);
	$session->run("CREATE EXTENSION pg_rill VERSION '$version'");
	$session->run("SELECT stream_append('s', 'a'), stream_append('s', 'b'), stream_append('closed', 'x', eof => true)");
	$session->run('ALTER EXTENSION pg_rill UPDATE');
	is($session->run("SELECT extversion FROM pg_extension WHERE extname = 'pg_rill'"), $current, "$version can be updated");
	is($session->run($describe), $wanted, "$version updated is the same as a fresh install");
	is($session->run("SELECT stream_append('s', 'c')"), '3', "$version updated: ids continue");
	is(chunks($session, 's'), '1:a 2:b 3:c', "$version updated: the streams are there");
	$session->quit;
}
$fresh->quit;

# An update under active sessions, to a version made up by the test: until there is a second release, nothing else covers
# this path. It needs an installation that it may write to.
my $script = "$directory/pg_rill--$current--99.sql";
my $mine = 0;
END { unlink $script if $mine }
SKIP:
{
	skip 'the installation is not ours to write into', 1 if !-w $directory || -e $script;
	$mine = 1;
	append_to_file($script, <<'SQL');
\echo Use "ALTER EXTENSION pg_rill UPDATE" to load this file. \quit
CREATE FUNCTION @extschema@.stream_length(stream text) RETURNS bigint LANGUAGE sql
  BEGIN ATOMIC SELECT pg_catalog.count(*) FROM @extschema@.stream_read_since(stream, 0); END;
ALTER TABLE @extschema@.stream ADD COLUMN note text;
SQL
	$node->safe_psql('postgres', 'CREATE SCHEMA rill; CREATE EXTENSION pg_rill SCHEMA rill');
	my ($control, $writer, $waiter, $listener) = map { my $s = session($node); $s->run('SET search_path = rill'); $s } 1 .. 4;
	$writer->run("SELECT stream_append('s', 'a'), stream_append('s', 'b')");
	$listener->run('SELECT stream_listen()');
	$listener->notified(qr/\*/);
	$waiter->start("SELECT stream_wait('s', 2, '1 hour')");
	ok(asleep($control, $waiter), 'a session waits');
	$control->run("ALTER EXTENSION pg_rill UPDATE TO '99'");
	is($control->run("SELECT stream_length('s')"), '2', 'the new version is in place');
	is($writer->run("SELECT stream_append('s', 'c')"), '3', 'a session that knew the stream still appends');
	is($waiter->finish, '3', 'a session that waited all the time is woken');
	ok((grep { /\d/ } $listener->notified(qr/\d/)), 'a session that listened all the time is notified');
	is(chunks($waiter, 's') . ' ' . chunks($listener, 's', 2), '1:a 2:b 3:c 3:c', 'and both can read');
	is($writer->run("SELECT stream_append('new', 'x')"), '1', 'new streams can be created');
	is($writer->run("SELECT stream_length('s')"), '3', 'and old sessions can use new functions');
	is($control->run("SELECT notifier_state FROM stream_stat"), 'running', 'the notifier runs on');
	$_->quit for $control, $writer, $waiter, $listener;
}
$node->stop;
done_testing();
