# A stream that retention deletes because it is idle, while somebody appends to it: what was acknowledged stays.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.retention_interval = 0\n");
my $one = session($node);
my $other = session($node);

# As if it had been created two days ago
sub idle_stream
{
	my ($stream) = @_;
	$one->run("SELECT stream_create('$stream')");
	$one->run("UPDATE stream SET created_at = now() - interval '2 days' WHERE name = '$stream'");
	$one->run("SELECT stream_set_limits('$stream', max_idle => '1 day')");
	return;
}
sub retention { reload_until($node, 'pg_rill.retention_interval' => $_[0]); return }
my $workers = q(SELECT FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill retention%');
sub texts { my ($stream) = @_; return $one->run("SELECT string_agg(encode(data, 'escape'), ',') FROM stream_read_since('$stream', 0)") }

# The worker is held by a check on the tombstone that it writes.
$one->run(<<'SQL');
CREATE FUNCTION hold() RETURNS boolean LANGUAGE plpgsql AS
'BEGIN
   FOR i IN 1 .. 6000 LOOP
     IF pg_try_advisory_xact_lock_shared(31) THEN RETURN true; END IF;
     PERFORM pg_sleep(0.01);
   END LOOP;
   RAISE ''held for a minute'';
 END';
ALTER TABLE stream_state ADD CONSTRAINT held CHECK (deleted_at IS NULL OR hold());
SELECT pg_advisory_lock(31);
SQL
for my $append (
	[ 'an append that commits', sub { $one->run("SELECT stream_append('idle', 'x')") } ],
	[ 'one that is still open', sub { $other->run('BEGIN'); $other->run("SELECT stream_append('idle', 'x')") } ])
{
	my ($what, $run) = @$append;
	idle_stream('idle');
	retention('1s');
	ok(until_true($one, "EXISTS ($workers AND wait_event = 'PgSleep')", 60),
		"$what: the stream is about to be deleted");
	$run->();
	$one->run('SELECT pg_advisory_unlock(31)');
	retention(0);
	ok(until_true($one, "NOT EXISTS ($workers)", 60), 'the worker has done what it could');
	$other->run('COMMIT');
	is(texts('idle'), 'x', 'the chunk is there');
	$one->run("SELECT stream_delete('idle')");
	$one->run('SELECT pg_advisory_lock(31)');
}
$one->run('SELECT pg_advisory_unlock(31)');
$one->run('ALTER TABLE stream_state DROP CONSTRAINT held');

# A transaction that appended long ago and is still open; the sentinel is due after it.
idle_stream($_) for qw(open sentinel);
my $open = $one->run("SELECT stream_id FROM stream WHERE name = 'open'");
$other->run('BEGIN');
$other->run("INSERT INTO stream_chunk (stream_id, chunk_id, epoch, appended_at, eof, data) VALUES ($open, 1, 1, now() - interval '2 days', false, 'y')");
retention('1s');
ok(until_true($one, "NOT EXISTS (SELECT FROM stream WHERE name = 'sentinel')", 60), 'an idle stream is deleted');
$other->run('COMMIT');
is(texts('open'), 'y', 'one with an open append is not');

# The same below a chunk that is committed.
retention(0);
until_true($one, "NOT EXISTS ($workers)", 60);
idle_stream($_) for qw(below sentinel);
my $below = $one->run("SELECT stream_id FROM stream WHERE name = 'below'");
$other->run('BEGIN');
for ([ $other, 1 ], [ $one, 2 ])
{
	my ($session, $id) = @$_;
	$session->run("INSERT INTO stream_chunk (stream_id, chunk_id, epoch, appended_at, eof, data)"
		. " VALUES ($below, $id, 1, now() - interval '2 days', false, '$id')");
}
retention('1s');
ok(until_true($one, "NOT EXISTS (SELECT FROM stream WHERE name = 'sentinel')", 60), 'another idle stream is deleted');
$other->run('COMMIT');
is(texts('below'), '1,2', 'one with an open append below a committed one is not');

$_->quit for $one, $other;
$node->stop;
done_testing();
