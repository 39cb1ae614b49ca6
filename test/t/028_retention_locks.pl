# What one stream, tenant or database does never stops retention of the others: locks that a user can hold, errors raised
# by limits, constraints and triggers, functions that do not return, and databases in which nothing works.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.retention_interval = 1\nmax_prepared_transactions = 5\n");
$node->safe_psql('postgres', 'CREATE ROLE tenant LOGIN; CREATE DATABASE other');
$node->safe_psql('postgres', 'GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO tenant');
$node->safe_psql('other', 'CREATE EXTENSION pg_rill');
my $one = session($node);
my $other = session($node, 'other');
my $tenant = session($node);
$tenant->run('SET SESSION AUTHORIZATION tenant');
$_->run("SELECT stream_create('kept', max_chunks => 5)") for $one, $other;

sub id { my ($stream) = @_; return $one->run("SELECT stream_id FROM stream WHERE name = '$stream'") }

# More chunks than the limit are appended, and removed.
sub works
{
	my ($session, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $last = $session->run("SELECT stream_append_many('kept', array_fill('x'::bytea, ARRAY[10]))");
	return ok(until_true($session, "SELECT trimmed_through = $last - 5 FROM stream_status('kept')", 30), $what);
}
works($one, 'retention works');
works($other, 'and in another database');

# A tenant's own streams: everything that makes the worker change a row, while the tenant holds a lock

$tenant->run("SELECT stream_create('mine', max_chunks => 2), stream_create('over', expires_at => now()), stream_create('held', max_age => '1 ms')");
sub grow { $one->run("SELECT stream_append_many('$_', array_fill('x'::bytea, ARRAY[4]))") for qw(mine over held) }
for (
	[ 'locked rows of its streams', "SELECT name FROM stream WHERE starts_with(owner, 'tenant') FOR UPDATE" ],
	[ 'advisory locks', "SELECT pg_advisory_lock_shared(stream_id), pg_advisory_lock(27, stream_id::int) FROM stream" ],
	[ 'changed limits', "SELECT stream_set_limits('mine', max_chunks => 1), stream_set_limits('held', max_age => '1 s')" ],
	[ 'a trimmed stream', "SELECT stream_append('mine', 'x'), stream_trim('mine', 100)" ],
	[ 'undecided appends', "SELECT stream_append('mine', 'x'), stream_append('held', 'x'), stream_append('new', 'x')" ],
	[ 'a deleted stream', "SELECT stream_delete('mine'), stream_delete('held')" ],
  )
{
	my ($what, $sql) = @$_;
	$tenant->run('BEGIN');
	$tenant->run($sql);
	works($one, "a tenant holds $what: retention goes on");
	$tenant->run('ROLLBACK');
	$tenant->run('SELECT pg_advisory_unlock_all()');
	grow();
}
ok(until_true($one, "SELECT trimmed_through = head_id - 2 FROM stream_status('mine')"), "the tenant's stream is trimmed later");
$one->run("SELECT stream_set_limits('over', expires_at => now())");
ok(until_true($one, "SELECT stream_id IS NULL FROM stream_status('over')"), 'and an expired one is deleted');

# The owner's locks on rows of the tables

$one->run("SELECT stream_create('rows', max_chunks => 1)");
$one->run("SELECT stream_append('rows', 'x') FROM generate_series(1, 5)");
my $owner = session($node);
my $rows = id('rows');
ok(until_true($one, "SELECT trimmed_through = 4 FROM stream_status('rows')"), 'a stream is trimmed');
for my $table (qw(stream stream_state stream_chunk))
{
	$owner->run("BEGIN; SELECT FROM $table WHERE stream_id = $rows FOR UPDATE");
	my $last = $one->run("SELECT stream_append('rows', 'x')");
	works($one, "rows of $table are locked: other streams are trimmed");
	$owner->run('ROLLBACK');
	ok(until_true($one, "SELECT trimmed_through = $last - 1 FROM stream_status('rows')"), 'and that one later');
}

# Locks on tables and indexes stop the database, not the others

for (
	[ 'stream is locked', 'LOCK TABLE stream' ],
	[ 'stream_chunk is locked', 'LOCK TABLE stream_chunk IN SHARE MODE' ],
	[ 'stream_state is altered', 'ALTER TABLE stream_state SET (fillfactor = 81)' ],
	[ 'an index is altered', 'ALTER INDEX stream_chunk_pkey SET TABLESPACE pg_default; ALTER INDEX stream_due_key RENAME TO renamed' ],
	[ 'a table is truncated', 'TRUNCATE stream_producer' ],
  )
{
	my ($what, $sql) = @$_;
	$owner->run("BEGIN; $sql");
	works($other, "$what in an open transaction: another database is served");
	$owner->run('ROLLBACK');
	works($one, 'this one afterwards');
}

# Errors: logged once, the others served, and tried again

sub errors { return log_count($node, $_[0]) }
my $bad = "SELECT stream_create('bad', max_chunks => 1)";
$one->run($bad);
my $id = id('bad');
$one->run("ALTER TABLE stream_state ADD CONSTRAINT unlucky CHECK (stream_id <> $id OR trimmed_through = 0) NOT VALID");
$one->run("SELECT stream_append_many('bad', array_fill('x'::bytea, ARRAY[3]))");
works($one, "a constraint of the owner's fails for one stream: others are trimmed") for 1 .. 2;
is(errors(qr/CONTEXT:.*retention of the stream with stream_id $id\n/), 1, 'the error is reported once, with the stream');
$one->run('ALTER TABLE stream_state DROP CONSTRAINT unlucky');
ok(until_true($one, "SELECT trimmed_through = 2 FROM stream_status('bad')"), 'the stream is tried again');

$one->run(<<"SQL");
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF OLD.stream_id = $id THEN RAISE ''not this one''; END IF; RETURN OLD; END';
CREATE TRIGGER fail BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION fail();
SQL
$one->run("SELECT stream_append_many('bad', array_fill('x'::bytea, ARRAY[3]))");
works($one, 'a trigger fails for one stream: others are trimmed') for 1 .. 2;
$one->run('DROP TRIGGER fail ON stream_chunk');
ok(until_true($one, "SELECT trimmed_through = 5 FROM stream_status('bad')"), 'that one later');

# Many failing streams, more than are remembered

$one->run('ALTER TABLE stream_state ADD CONSTRAINT unlucky CHECK (max_bytes IS NULL OR trimmed_through = 0) NOT VALID');
my $log = -s $node->logfile;
$one->run("SELECT stream_create('many-' || i, max_bytes => 1), stream_append('many-' || i, 'xx') FROM generate_series(1, 60) i");
works($one, 'sixty streams fail: others are trimmed') for 1 .. 2;
sub reports { my @found = substr(slurp_file($node->logfile), $log) =~ /violates check constraint/g; return scalar @found }
ok(eventually(sub { reports() > 0 }), 'errors are reported');
cmp_ok(reports(), '<=', 16, 'and the log is not flooded');
$one->run('ALTER TABLE stream_state DROP CONSTRAINT unlucky');

# Damaged values

$one->run("UPDATE stream_chunk SET appended_at = '294276-01-01' WHERE stream_id = $id");
$one->run("UPDATE stream_state SET max_age = '4000 years', max_chunks = NULL WHERE stream_id = $id");
works($one, 'a time beyond the range: others are trimmed');
$one->run("UPDATE stream_state SET max_age = '178000000 years', next_due = '-infinity' WHERE stream_id = $id");
works($one, 'an absurd limit and due time: others are trimmed');
$one->run("SELECT stream_delete('bad')");

# A function that does not return

$one->run("SELECT stream_create('slow', max_chunks => 1)");
$id = id('slow');
$one->run(<<"SQL");
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF OLD.stream_id = $id THEN PERFORM pg_sleep(1000); END IF; RETURN OLD; END';
CREATE TRIGGER hang BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION hang();
SQL
$one->run("SELECT stream_append_many('slow', array_fill('x'::bytea, ARRAY[3]))");
works($one, 'a trigger sleeps: others are trimmed') for 1 .. 2;
works($other, 'and other databases served');
$one->run(<<"SQL");
CREATE OR REPLACE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN WHILE OLD.stream_id = $id LOOP BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; RETURN OLD; END';
SQL
my $ended = qr/terminating background worker "pg_rill retention.*due to administrator command/;
my $terminated = errors($ended);
ok(eventually(sub { errors($ended) > $terminated }), 'a trigger that ignores cancelling is ended');
works($one, 'others are trimmed');
works($other, 'and other databases served');
$one->run('DROP TRIGGER hang ON stream_chunk');
ok(until_true($one, "SELECT trimmed_through = 2 FROM stream_status('slow')"), 'that one later');

# Chunks that take longer to remove than a transaction of the worker may last: large ones are thousands of rows each

$one->run("SELECT stream_create('long', max_chunks => 1)");
$id = id('long');
$one->run(<<"SQL");
CREATE FUNCTION long() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF OLD.stream_id = $id THEN PERFORM pg_sleep(0.05); END IF; RETURN OLD; END';
CREATE TRIGGER long BEFORE DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION long();
SQL
my $timeouts = errors(qr/canceling statement due to statement timeout/);
$one->run("SELECT stream_append_many('long', array_fill('x'::bytea, ARRAY[121]))");
ok(until_true($one, "SELECT trimmed_through = 120 FROM stream_status('long')"), 'what takes six seconds to remove is removed');
is(errors(qr/canceling statement due to statement timeout/), $timeouts, 'in several transactions');
$one->run('DROP TRIGGER long ON stream_chunk');

# A database in which nothing works

$one->run('ALTER TABLE stream_state RENAME TO elsewhere');
my $missing = qr/relation "stream_state" of extension pg_rill does not exist/;
works($other, 'a table is missing: another database is served') for 1 .. 3;
ok(eventually(sub { errors($missing) > 0 }), 'the error is reported');
works($other, 'other databases are served still') for 1 .. 3;
is(errors($missing), 1, 'it is reported once');
$one->run('ALTER TABLE elsewhere RENAME TO stream_state');
works($one, 'the database is served when the table is there again');

$node->stop;
done_testing();
