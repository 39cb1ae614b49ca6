# The schedule of retention: what was appended is found by it whatever happens in between, and streams of which nothing can
# become due cost nothing. Crash, restart, promotion, a full queue, prepared transactions, a clock that is set, limits that
# change, rows written by hand.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main',
	init => [ allows_streaming => 1 ],
	conf => "pg_rill.retention_interval = 1\nmax_prepared_transactions = 5\npg_rill.wake_queue_size = 64\n");
my ($one, $two);
sub connect_all { ($one, $two) = map { session($node) } 1 .. 2; return }
connect_all();

sub state { my ($stream, $what) = @_; return "SELECT $what FROM stream_state JOIN stream USING (stream_id) WHERE name = '$stream'" }
sub unscheduled { my ($stream) = @_; return until_true($one, state($stream, 'next_due IS NULL')) }
sub grow { my ($session, $stream, $n) = @_; return $session->run("SELECT stream_append_many('$stream', array_fill('x'::bytea, ARRAY[$n]))") }
sub trimmed { my ($stream, $through) = @_; return until_true($one, "SELECT trimmed_through = $through FROM stream_status('$stream')", 60) }
sub retention { reload_until($node, 'pg_rill.retention_interval' => $_[0]); return }
# Passes come every interval while this stream is appended to.
sub passes
{
	my ($n) = @_;
	for (1 .. $n)
	{
		my $last = grow($one, 'busy', 2);
		trimmed('busy', $last - 1) or die 'no pass';
	}
	return;
}
$one->run("SELECT stream_create('busy', max_chunks => 1)");

# Streams are scheduled only when something can become due

$one->run("SELECT stream_create('count', max_chunks => 5), stream_create('age', max_age => '1 s'), stream_create('close', delete_after_close => '1 h')");
ok(unscheduled($_), "nothing of an empty stream can become due: $_") for qw(count age close);
grow($one, 'count', 3);
passes(2);
ok(unscheduled('count'), 'nor of one within its limits');
grow($one, 'count', 4);
ok(trimmed('count', 2), 'an append is noticed');
ok(unscheduled('count'), 'and nothing is scheduled afterwards');
grow($two, 'count', 1);
ok(trimmed('count', 3), 'also one of another session');
grow($one, 'age', 1);
ok(trimmed('age', 1), 'a chunk is removed when it is old enough');
ok(unscheduled('age'), 'and nothing is scheduled afterwards');
is($one->run("SELECT stream_close('close')"), '1', 'a stream is closed');
ok(until_true($one, state('close', "next_due - now() BETWEEN '59 min' AND '1 h'")), 'it is due when its time has come');

# Scheduled for one limit, made due sooner by another

for (
	[ 'chunks', "max_chunks => 1, max_idle => '1 h'" ],
	[ 'bytes', "max_bytes => 1, expires_at => now() + interval '1 h'" ],
	[ 'aged', "max_chunks => 1, max_age => '1 h'" ],
	[ 'young', "max_age => '1 us', expires_at => now() + interval '1 h'" ],
	[ 'closed', "delete_after_close => '1 us', max_age => '1 h'" ],
  )
{
	my ($stream, $limits) = @$_;
	grow($one, $stream, 1) if $stream =~ /aged|closed/;
	$one->run("SELECT stream_set_limits('$stream', $limits)") eq 't' or $one->run("SELECT stream_create('$stream', $limits)");
	ok(until_true($one, state($stream, "next_due - now() BETWEEN '50 min' AND '70 min'")), "$stream: due in an hour");
	if ($stream eq 'closed')
	{
		$two->run("SELECT stream_close('closed')");
		ok(until_true($one, "SELECT stream_id IS NULL FROM stream_status('closed')", 60), 'and deleted when it was closed');
		next;
	}
	my $last = grow($two, $stream, 3);
	ok(trimmed($stream, $stream eq 'young' ? $last : $last - 1), 'and trimmed when it was appended to');
}

# Undecided appends, those of prepared transactions included

$two->run('BEGIN');
grow($two, 'count', 4);
passes(2);
is($one->run(state('count', 'next_due IS NOT NULL')), 't', 'a stream with an undecided append stays scheduled');
$two->run('COMMIT');
ok(trimmed('count', 7), 'it is trimmed after the commit');
$two->run('BEGIN');
grow($two, 'count', 4);
$two->run("PREPARE TRANSACTION 'p'");
passes(2);
is($one->run(state('count', 'next_due IS NOT NULL')), 't', 'so does one with a prepared append');
$_->quit for $one, $two;
$node->restart;
connect_all();
passes(2);
$one->run("COMMIT PREPARED 'p'");
ok(trimmed('count', 11), 'it is trimmed after COMMIT PREPARED, with a restart in between');
$two->run('BEGIN');
grow($two, 'count', 4);
$two->run('ROLLBACK');
passes(2);
ok(unscheduled('count'), 'a rollback leaves nothing scheduled');

# A prepared transaction that appends nothing, in a database of which nothing is scheduled: the next visit of its own accord
# would come after ten minutes

$node->safe_psql('postgres', 'CREATE DATABASE quiet');
$node->safe_psql('quiet', 'CREATE EXTENSION pg_rill');
my $quiet = session($node, 'quiet');
$quiet->run("SELECT stream_append('s', 'x'), stream_append('other', 'x')");
sub rests
{
	return until_true($quiet, "SELECT retention_at IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity"
		  . " WHERE datname = 'quiet' AND backend_type <> 'client backend') FROM stream_stat");
}
$quiet->run("SELECT stream_set_limits('other', max_chunks => 100)");
ok(rests(), 'retention has visited a database');
$quiet->run("BEGIN; SELECT stream_set_limits('s', expires_at => now()); PREPARE TRANSACTION 'q'");
$quiet->run("COMMIT PREPARED 'q'");
ok(until_true($quiet, "SELECT stream_id IS NULL FROM stream_status('s')", 60), 'limits set by a prepared transaction are applied');
ok(rests(), 'it has visited it again');
$quiet->run("BEGIN; SELECT stream_delete('other'); PREPARE TRANSACTION 'q'");
$quiet->run("COMMIT PREPARED 'q'");
ok(until_true($quiet, 'SELECT count(*) = 0 FROM stream_chunk', 60), 'and the chunks of a stream deleted by one are removed');
$quiet->quit;

# Limits that change

grow($two, 'free', 10);
$one->run("SELECT stream_set_limits('free', max_chunks => 5)");
ok(trimmed('free', 5), 'limits set on an existing stream');
passes(2);
ok(unscheduled('free'), 'nothing is left to do');
grow($two, 'free', 2);
ok(trimmed('free', 7), 'a session that knew the stream without limits');
grow($two, 'late', 1);
$two->run('BEGIN');
grow($two, 'late', 3);
$one->run("SELECT stream_set_limits('late', max_chunks => 1)");
passes(2);
grow($two, 'late', 3);
$two->run('COMMIT');
ok(trimmed('late', 6), 'limits set while an append is undecided');
$one->run("BEGIN; SELECT stream_set_limits('free', max_age => '100 s'); ROLLBACK");
grow($two, 'free', 1);
ok(trimmed('free', 8), 'a change that is rolled back');
$one->run("SELECT stream_create('slow', max_age => '1 h'), stream_append('slow', 'x')");
ok(until_true($one, state('slow', "next_due - now() > '59 min'")), 'due in an hour');
$one->run("SELECT stream_set_limits('slow', max_age => '1 ms')");
ok(trimmed('slow', 1), 'a limit that is made shorter');
$one->run("SELECT stream_set_limits('slow')");
is($one->run(state('slow', 'next_due IS NULL')), 't', 'without limits nothing is scheduled');

# Deleted and created again

$one->run("SELECT stream_create('again', max_chunks => 1, expires_at => now() + interval '1 h')");
grow($one, 'again', 3);
ok(trimmed('again', 2), 'a stream');
$one->run("SELECT stream_delete('again')");
$one->run("SELECT stream_create('again', max_chunks => 2)");
grow($two, 'again', 4);
ok(trimmed('again', 5), 'is deleted and created with other limits');
$one->run("BEGIN; SELECT stream_delete('again'), stream_create('again', max_chunks => 1); ROLLBACK");
grow($two, 'again', 1);
ok(trimmed('again', 6), 'and so in a transaction that is rolled back');

# A full queue, and streams that fail to fit

my $many = 400;
$one->run("SELECT stream_create('many-' || i, max_chunks => 1, expires_at => CASE WHEN i % 2 = 0 THEN now() + interval '1 h' END) FROM generate_series(1, $many) i");
ok(until_true($one, "SELECT count(*) = $many FROM stream JOIN stream_state USING (stream_id) WHERE name ^@ 'many-' AND coalesce(next_due > now() + interval '50 min', true)"), 'many streams');
retention('1h');
$two->run("SELECT stream_append_many('many-' || i, '{x,y}') FROM generate_series(1, $many) i");
retention('1s');
ok(until_true($one, "SELECT count(*) = $many FROM stream_info WHERE name ^@ 'many-' AND trimmed_through = 1"), 'more than the queue holds are all found');
ok(until_true($one, "SELECT retention_backlog = 0 AND retention_lag = '0' FROM stream_stat"), 'no backlog is left');

# Rows written by hand

$one->run("SELECT stream_append('hand', 'x')");
my $hand = $one->run("SELECT stream_id FROM stream WHERE name = 'hand'");
$one->run("INSERT INTO stream_state (stream_id, max_chunks) VALUES ($hand, 1)");
grow($two, 'hand', 2);
ok(trimmed('hand', 2), 'limits written by hand');
ok(unscheduled('hand'), 'nothing is scheduled');
$one->run("INSERT INTO stream_chunk SELECT $hand, i, 1, now(), false, 'x' FROM generate_series(4, 8) i");
ok(trimmed('hand', 7), 'chunks written by hand');

# What the queue held at a crash

retention('1h');
grow($one, 'count', 10);
grow($two, 'hand', 2);
$one->run("ALTER SYSTEM SET pg_rill.retention_interval = '1s'");
$_->quit for $one, $two;
$node->stop('immediate');
$node->start;
connect_all();
ok(trimmed('count', $one->run("SELECT stream_head('count')") - 5), 'what was appended before a crash is found');
ok(trimmed('hand', $one->run("SELECT stream_head('hand')") - 1), 'in each stream');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = \'pg_rill launcher\'');
grow($one, 'count', 3);
ok(trimmed('count', $one->run("SELECT stream_head('count')") - 5), 'the launcher is started again and goes on');

# A promotion

retention('0');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "pg_rill.retention_interval = 1\n");
$standby->append_conf('postgresql.auto.conf', "pg_rill.retention_interval = 1\n");
$standby->start;
my $head = grow($one, 'count', 10);
$node->wait_for_catchup($standby);
$_->quit for $one, $two;
$node->stop;
$standby->promote;
$node = $standby;
connect_all();
ok(trimmed('count', $head - 5), 'a promoted standby finds what was appended on the old primary');
grow($one, 'count', 2);
ok(trimmed('count', $head - 3), 'and what is appended to it');

# Nothing due, nothing done: rows of stream_state that passes read and write while ten thousand streams have limits

$one->run("SELECT stream_create('idle-' || i, max_age => '1 h', max_chunks => 100) FROM generate_series(1, 10000) i");
ok(until_true($one, "SELECT count(*) = 10000 FROM stream JOIN stream_state USING (stream_id) WHERE name ^@ 'idle-' AND next_due IS NULL"), 'ten thousand idle streams');
passes(2);
sub read_rows { return $one->run("SELECT pg_stat_clear_snapshot(); SELECT seq_tup_read + idx_tup_fetch + n_tup_upd FROM pg_stat_all_tables WHERE relid = 'stream_state'::regclass") =~ s/\s//gr }
my $before = read_rows();
passes(5);
cmp_ok(read_rows() - $before, '<', 500, 'passes do not look at streams of which nothing is due');
$_->quit for $one, $two;
$node->stop;

# The wall clock is set

SKIP:
{
	skip 'needs LD_PRELOAD', 1 if $^O ne 'linux';
	my $clock = "$PostgreSQL::Test::Utils::tmp_check/clock";
	my $ahead = 0;
	append_to_file($clock, pack('q', 0));
	my $step = sub {
		# Never truncated: a process that reads it then would get SIGBUS.
		open my $file, '+<', $clock or die "$clock: $!";
		defined syswrite $file, pack('q', $ahead += $_[0]) or die "$clock: $!";
		close $file;
	};
	{
		local $ENV{PG_RILL_TEST_CLOCK} = $clock;
		local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, compile_library('stepped_clock');
		$node = rill_node('clock', conf => "pg_rill.retention_interval = 1\n");
	}
	connect_all();
	$one->run("SELECT stream_create('busy', max_chunks => 1), stream_create('hour', max_age => '1 h'), stream_create('idle', max_idle => '1 h')");
	grow($one, 'hour', 1);
	ok(until_true($one, state('hour', "next_due - clock_timestamp() > '59 min'")), 'a chunk is due in an hour');
	$step->(7200);
	ok(trimmed('hour', 1), 'the clock is set forward: it is removed');
	ok(until_true($one, "SELECT stream_id IS NULL FROM stream_status('idle')"), 'and an idle stream deleted');
	$one->run("SELECT stream_create('minutes', max_age => '30 min'), stream_append('minutes', 'x')");
	grow($one, 'hour', 1);
	ok(until_true($one, state('hour', "next_due - clock_timestamp() > '59 min'")), 'another one is due in an hour');
	$step->(-7200);
	passes(2);
	is($one->run("SELECT trimmed_through FROM stream_status('hour')"), '1', 'the clock is set back: nothing younger is removed');
	$one->run("SELECT stream_create('gone', expires_at => clock_timestamp() + interval '1 s')");
	ok(until_true($one, "SELECT stream_id IS NULL FROM stream_status('gone')"), 'what is due by the new time goes on');
	$step->(3600 * 4);
	ok(trimmed('hour', 2), 'and forward again: it is removed');
	ok(trimmed('minutes', 1), 'and others');
	$_->quit for $one, $two;
	$node->stop;
}
done_testing();
