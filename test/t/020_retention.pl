# Retention: chunks beyond the limits are removed in the background, ids continue, readers get an error, and neither
# appends, readers nor DROP DATABASE wait for it.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.retention_interval = 1\nmax_prepared_transactions = 5\nlog_min_messages = debug1\n");
my $control = session($node);
my $one = session($node);
sub row { return "SELECT %s FROM stream_status('$_[0]')" }
sub append { my ($stream, $n) = @_; return $one->run("SELECT stream_append_many('$stream', array_agg(convert_to('x' || i, 'UTF8') ORDER BY i)) FROM generate_series(1, $n) i") }

# Limits

$one->run("SELECT stream_create('count', max_chunks => 5)");
append('count', 3000);
ok(until_true($control, "SELECT count(*) = 5 AND min(chunk_id) = 2996 FROM stream_read_since('count', 0)"),
	'max_chunks keeps the newest, in several batches');
is($one->run("SELECT first_id, head_id, chunks FROM stream_info, stream_size(name) WHERE name = 'count'"), '2996|3000|5', 'stream_info agrees');
fails($one, "SELECT * FROM stream_read_since('count', 10)", 'RL002', 'before the first retained chunk', 'a cursor before the first retained chunk is an error');
is($one->run("SELECT stream_verify('count', 2995, 0)"), 't', 'a cursor at the last trimmed chunk is valid');

# What others delete is not counted any more: chunks that come later are not removed in its place.
$one->run("SELECT stream_create('deleted from', max_chunks => 5)");
append('deleted from', 20);
ok(until_true($control, "SELECT trimmed_through = 15 FROM stream_status('deleted from')"), 'a stream whose chunks have been counted');
for my $gone ('chunk_id < 20', 'true')
{
	$one->run("DELETE FROM stream_chunk WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 'deleted from') AND $gone");
	my $last = append('deleted from', 7);
	ok(until_true($control, "SELECT trimmed_through = $last - 5 FROM stream_status('deleted from')"), "of what comes after a DELETE, max_chunks are kept");
}

$one->run("SELECT stream_create('bytes', max_bytes => 1000)");
$one->run("SELECT stream_append('bytes', repeat('x', 300)::bytea) FROM generate_series(1, 10)");
ok(until_true($control, "SELECT count(*) = 3 AND max(chunk_id) = 10 FROM stream_read_since('bytes', 0)"), 'max_bytes keeps what fits');
$one->run("SELECT stream_append('bytes', repeat('y', 5000)::bytea)");
ok(until_true($control, "SELECT trimmed_through = 11 FROM stream_status('bytes')"), 'a chunk larger than the limit is removed, too');
is($one->run("SELECT stream_append('bytes', 'z')"), '12', 'ids continue after everything was trimmed');

$one->run("SELECT stream_create('age', max_age => '2 s')");
append('age', 3);
ok(until_true($control, "SELECT trimmed_through = 3 FROM stream_status('age')"), 'max_age removes older chunks');
is($one->run("SELECT stream_append('age', 'young')"), '4', 'ids continue');
is(chunks($one, 'age'), '4:young', 'and younger chunks stay');

$one->run("SELECT stream_create('closing', delete_after_close => '1 s')");
$one->run("SELECT stream_append('closing', 'x'), stream_append('open', 'x')");
$one->run("SELECT stream_close('closing')");
my $waiter = session($node);
fails($waiter, "SELECT stream_wait('closing', 1000, '1 min')", 'RL003', 'not part of the history', 'a cursor ahead of a live stream is refused at once');
ok(until_true($control, "SELECT count(*) = 0 FROM stream_info WHERE name = 'closing'"), 'delete_after_close deletes a closed stream');
is($one->run("SELECT count(*) FROM stream_info WHERE name = 'open'"), '1', 'but not an open one');
is($one->run("SELECT stream_append('closing', 'again')"), '3', 'a new stream of that name continues with higher ids');

# The EOF stays, whatever the limits

$one->run("SELECT stream_create('ended', max_chunks => 1, max_age => '1 s')");
append('ended', 3);
$one->run("SELECT stream_close('ended')");
ok(until_true($control, "SELECT trimmed_through = 3 FROM stream_status('ended')"), 'an ended stream is trimmed');
is(chunks($one, 'ended'), '4:EOF', 'its EOF stays');

# Undecided chunks stop retention

$one->run("SELECT stream_create('held', max_chunks => 1)");
my $writer = session($node);
$writer->run("BEGIN; SELECT stream_append('held', 'first')");
append('held', 5);
my $rounds = "SELECT retention_at FROM stream_stat";
sub two_rounds
{
	for (1 .. 2)
	{
		my $at = $control->run($rounds);
		until_true($control, "($rounds) > '$at'") or die 'no round of retention';
	}
}
two_rounds();
is($control->run(sprintf(row('held'), 'trimmed_through')), '0', 'nothing after an undecided chunk is trimmed');
$writer->run('COMMIT');
ok(until_true($control, "SELECT trimmed_through = 5 FROM stream_status('held')"), 'it is after the commit');

# Locked rows are skipped; appends and reads continue

append('held', 10);
$writer->run("BEGIN; SELECT FROM stream_state WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 'held') FOR UPDATE");
append('count', 10);
ok(until_true($control, "SELECT trimmed_through = 3005 FROM stream_status('count')"), 'a locked row does not block other streams');
is($one->run("SELECT stream_append('held', 'x')"), '17', 'nor appends to the locked one');
$writer->run('ROLLBACK');
ok(until_true($control, "SELECT trimmed_through = 16 FROM stream_status('held')"), 'the locked stream is trimmed later');

# Locked tables do not make visits rare: only databases with nothing to enforce are visited rarely

my $oid = $control->run("SELECT oid FROM pg_database WHERE datname = 'postgres'");
my $visit = qr/starting background worker process "pg_rill retention for database $oid"/;
append('count', 10);
$writer->run('BEGIN; LOCK TABLE stream IN ACCESS EXCLUSIVE MODE');
my $visited = log_count($node, $visit);
ok(eventually(sub { log_count($node, $visit) > $visited + 1 }), 'the worker returns while the tables are locked');
$writer->run('ROLLBACK');
ok(until_true($control, "SELECT trimmed_through = 3015 FROM stream_status('count')"), 'and does its work afterwards');

# Deleted streams: chunks of transactions running at the time are purged after they have ended

$writer->run("BEGIN; SELECT stream_append('doomed', 'uncommitted')");
$writer->run('COMMIT; BEGIN');
$writer->run("SELECT stream_append('doomed', 'late')");
$one->run("SELECT stream_append('doomed', 'other')");
is($one->run("SELECT stream_delete('doomed')"), 't', 'a stream with an undecided append can be deleted');
two_rounds();
is($control->run("SELECT purged FROM stream_state WHERE deleted_name = 'doomed'"), 'f', 'it is not purged while that append is undecided');
$writer->run('COMMIT');
ok(until_true($control, "SELECT purged FROM stream_state WHERE deleted_name = 'doomed'"), 'it is purged afterwards');
is($control->run("SELECT count(*) FROM stream_chunk c JOIN stream s USING (stream_id) WHERE name = 'doomed'"), '0', 'nothing of it is left');
is($one->run("SELECT stream_append('doomed', 'reborn')"), '4', 'and its ids are not reused');

$one->run("SELECT stream_append_many('large', array_agg('x'::bytea)) FROM generate_series(1, 25000)");
$one->run("SELECT stream_delete('large')");
ok(until_true($control, "SELECT purged FROM stream_state WHERE deleted_name = 'large'"), 'a large stream is purged in the background');
is($control->run("SELECT count(*) FROM stream_chunk c JOIN stream s USING (stream_id) WHERE name = 'large'"), '0', 'all of it');

reload_until($node, 'pg_rill.forget_deleted_after' => '1s');
ok(until_true($control, "SELECT count(*) = 0 FROM stream_state WHERE deleted_at IS NOT NULL"), 'tombstones are forgotten after pg_rill.forget_deleted_after');

# Absurd limits do not stop retention of other streams

$one->run("UPDATE stream_state SET max_age = '100000000 years', delete_after_close = '9999999 years' WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 'age')");
append('count', 10);
ok(until_true($control, "SELECT trimmed_through = 3025 FROM stream_status('count')"), 'an absurd interval set by hand does not stop retention');

# Ids continue after everything was trimmed, after a crash and in a dump

is($one->run("SELECT stream_append_many('gone', ARRAY['a', 'b', 'c']::bytea[])"), '3', 'a stream');
is($one->run("SELECT stream_trim('gone', 100)"), '3', 'is trimmed completely');
$_->quit for $one, $control, $writer, $waiter;
$node->stop('immediate');
$node->start;
$one = session($node);
is($one->run("SELECT stream_append('gone', 'd')"), '4', 'continues after a crash');
is($one->run("SELECT stream_trim('gone', 100)"), '1', 'is trimmed again');
$one->run('CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'restore');
my $restored = session($node, 'restored');
is($restored->run("SELECT stream_append('gone', 'e')"), '5', 'and continues after dump and restore');
fails($restored, "SELECT * FROM stream_read_since('gone', 2)", 'RL002', 'before', 'where such a cursor is an error, too');

# The worker visits a database where limits are set, and leaves

my $control2 = session($node);
ok(until_true($control2, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_rill retention'"), 'the retention worker leaves');
$restored->run("SELECT stream_append_many('count', array_agg('x'::bytea)) FROM generate_series(1, 20)");
ok(until_true($restored, "SELECT max(chunk_id) - 5 = (SELECT trimmed_through FROM stream_status('count')) FROM stream_read_since('count', 0)"),
	'it works in a database that was restored, too');
is($restored->run('SELECT trimmed_chunks > 0, deleted_streams FROM stream_stat'), 't|0', 'stream_stat counts for each database');
$restored->quit;
is(($node->psql('postgres', 'DROP DATABASE restored'))[0], 0, 'a database with retention can be dropped');
$node->stop;
done_testing();
