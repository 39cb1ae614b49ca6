# The launcher and the notifier: running when a session listens, gone when none does, restarted when killed, and nothing
# is lost while they are down.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', init => [ allows_streaming => 1 ], conf => "pg_rill.wake_queue_size = 64\n");
my $control = session($node);
my $notifier_pid = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_rill notifier' AND datname = 'postgres'";
my $no_notifier = "NOT EXISTS ($notifier_pid)";
my $running = "SELECT notifier_state = 'running' AND notifier_pid = ($notifier_pid) FROM stream_stat";
my $sleeping = "SELECT wait_event_type = 'Extension' AND state IS DISTINCT FROM 'active' FROM pg_stat_activity WHERE backend_type = 'pg_rill notifier'";
sub stat_of { return $control->run("SELECT $_[0] FROM stream_stat") }

# Presence

ok(until_true($control, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_rill launcher' AND datname IS NULL"),
	'the launcher is there, connected to no database');
is($control->run("SELECT $no_notifier"), 't', 'no notifier while nobody listens');
is(stat_of('notifier_state, notifier_pid IS NULL'), 'absent|t', 'and stream_stat says so');

my $one = session($node);
$one->run("SELECT stream_append('s', 'before')");
my $id = $one->run("SELECT stream_id FROM stream_info WHERE name = 's'");
is($one->run('SELECT stream_listen()'), 'pg_rill', 'stream_listen names the channel');
ok(until_true($control, $running), 'the notifier comes when a session listens');
ok(until_true($control, $sleeping), 'the notifier idles in a wait of its own');
ok(waits_in($control, 'pg_rill notifier', 'PgRillNotifierMain'), 'which has a name');
ok(waits_in($control, 'pg_rill launcher', 'PgRillLauncherMain'), "the launcher's, too");
is(join(' ', $one->notified(qr/\*/)), '*', 'the first thing a listener hears is to check everything');

my $two = session($node);
$two->run('SELECT stream_listen()');
is(stat_of('listeners'), '2', 'stream_stat counts listeners');
$one->run('SELECT stream_unlisten()');
is($control->run("SELECT ($running)"), 't', 'the notifier stays while another session listens');
$two->quit;
ok(until_true($control, $no_notifier), 'the notifier goes when the last listener has ended');
is(stat_of('notifier_state, listeners'), 'absent|0', 'and stream_stat says so');
$one->run('BEGIN; SELECT stream_listen(); ROLLBACK');
is(stat_of('listeners'), '0', 'a rolled back stream_listen does not count');
ok(until_true($control, $no_notifier), 'and leaves no notifier behind');
$one->run('SELECT stream_listen()');
ok(until_true($control, $running), 'the notifier comes back for the next listener');
$one->run('SELECT stream_unlisten()');
ok(until_true($control, $no_notifier), 'the notifier goes when the last listener has unlistened');

# A notifier that exits because no session listens has not failed: ten failures would delay the next one for a minute.
my $came = 1;
for my $n (1 .. 10)
{
	$one->run('SELECT stream_listen()');
	$came &&= until_true($control, $running, 30);
	$one->run('SELECT stream_unlisten()');
	$came &&= until_true($control, $no_notifier);
}
ok($came, 'each of many listeners that come and go has its notifier at once');

# A session pooler's reset ends the registration: no NOTIFYs are sent that no client reads.
for my $reset ('DISCARD ALL', 'UNLISTEN *', 'UNLISTEN pg_rill')
{
	$one->run('SELECT stream_listen()');
	ok(until_true($control, $running), 'a session listens');
	$one->run($reset);
	is(stat_of('listeners'), '0', "$reset ends the registration");
	ok(until_true($control, $no_notifier), 'and the notifier goes');
}

# Wake-ups

$one->run('SELECT stream_listen()');
ok(until_true($control, $running), 'the notifier is back');
$one->notified(qr/\*/);
$control->run("SELECT stream_append('s', 'x')");
is(join(' ', $one->notified(qr/\d/)), $id, 'a commit is told with the id of the stream');
$control->run("SELECT stream_append('other', 'x')");
my $other = $control->run("SELECT stream_id FROM stream_info WHERE name = 'other'");
is(join(' ', $one->notified(qr/\d/)), $other, 'another stream with its own');
$control->run("BEGIN; SELECT stream_append('s', 'x'), stream_append('other', 'x'); COMMIT");
is(join(' ', $one->notified(qr/\d/)), "$id,$other", 'two streams of one transaction share a payload');

# A stopped notifier takes nothing, so the contents of its queue are certain. It is stopped only while it sleeps:
# otherwise it may hold a spinlock.
sub stop_asleep
{
	my ($type, $pid) = @_;
	until_true($control, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = '$type' AND pid = $pid")
	  or die "the $type does not sleep";
	kill 'STOP', $pid;
}
my $pid = $control->run($notifier_pid);
my $sent = stat_of('notifies');
my $coalesced = stat_of('coalesced');
stop_asleep('pg_rill notifier', $pid);
$control->run("SELECT stream_append('s', 'x')") for 1 .. 20;
kill 'CONT', $pid;
is(join(' ', $one->notified(qr/\d/)), $id, '20 commits that a busy notifier finds at once are one payload');
is(stat_of("notifies - $sent, coalesced - $coalesced"), '1|19', 'and stream_stat counts 1 NOTIFY and 19 coalesced');

stop_asleep('pg_rill notifier', $pid);
$control->run("DO \$\$ BEGIN FOR i IN 1..100 LOOP PERFORM stream_append('many-' || i, 'x'); COMMIT; END LOOP; END \$\$");
is(stat_of('overflows'), '1', 'a full queue is counted');
kill 'CONT', $pid;
is(join(' ', $one->notified(qr/\*/)), '*', 'after a full queue, listeners are told to check everything');
$control->run("SELECT stream_append('s', 'x')");
is(join(' ', $one->notified(qr/\d/)), $id, 'and afterwards about single streams again');

# Settings of a database do not end the notifier: here it waits longer than the database's timeouts for the lock that
# every NOTIFY takes, which a session holds while its commit waits for a standby that does not exist.

my @timeouts = ('lock_timeout', $control->run('SHOW server_version_num') < 170000 ? () : 'transaction_timeout');
$control->run("ALTER DATABASE postgres SET $_ = '1ms'") for @timeouts;
$ENV{PGOPTIONS} = join ' ', map { "-c $_=0" } @timeouts;  # for the sessions of this test
$control->run("SELECT pg_terminate_backend($pid)");
ok(until_true($control, "($running) AND ($notifier_pid) <> $pid"), 'a notifier runs with the database\'s settings');
$one->notified(qr/\*/);
$pid = $control->run($notifier_pid);
reload_until($node, 'synchronous_standby_names' => 'nobody');
my $blocker = session($node);
$blocker->start('SET synchronous_commit = on; BEGIN; CREATE TABLE held (); NOTIFY other; COMMIT');
ok(until_true($control, 'SELECT wait_event = \'SyncRep\' FROM pg_stat_activity WHERE pid = ' . $blocker->pid), 'a NOTIFY hangs in its commit');
$control->run("SET synchronous_commit = off; SELECT stream_append('s', 'x')");
my $notifier_waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid";
ok(until_true($control, $notifier_waits), 'the notifier waits for its lock');
# Only time can show that the wait does not end after a millisecond.
$control->run("SELECT stream_wait('nothing', 0, '1 s')");
is($control->run($notifier_waits), 't', 'longer than its database\'s timeouts');
$node->safe_psql('postgres', 'SET synchronous_commit = off; ALTER SYSTEM RESET synchronous_standby_names');
$node->reload;
$blocker->finish;
is(join(' ', $one->notified(qr/\d/)), $id, 'and sends its NOTIFY when it can');
$control->run("ALTER DATABASE postgres RESET $_") for @timeouts;
delete $ENV{PGOPTIONS};
$blocker->quit;

# SIGTERM

$control->run("SELECT pg_terminate_backend($pid)");
ok(until_true($control, "($running) AND ($notifier_pid) <> $pid"), 'a terminated notifier is started again');
is(join(' ', $one->notified(qr/\*/)), '*', 'and tells listeners to check everything');
$control->run("SELECT stream_append('s', 'x')");
is(join(' ', $one->notified(qr/\d/)), $id, 'its successor sends wake-ups');

my $launcher_pid = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_rill launcher'";
my $launcher = $control->run($launcher_pid);
$pid = $control->run($notifier_pid);
$control->run("SELECT pg_terminate_backend($launcher)");
ok(until_true($control, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_rill launcher' AND pid <> $launcher"),
	'a terminated launcher is started again');
is($control->run($notifier_pid), $pid, 'and the notifier went on meanwhile');
$control->run("SELECT pg_terminate_backend($pid)");
ok(until_true($control, "($running) AND ($notifier_pid) <> $pid"), 'the new launcher supervises the old notifier');
$one->notified(qr/\*/);

# A notifier that dies while its launcher is away, too.
($launcher, $pid) = ($control->run($launcher_pid), $control->run($notifier_pid));
stop_asleep('pg_rill launcher', $launcher);
$control->run("SELECT pg_terminate_backend($pid)");
ok(until_true($control, $no_notifier), 'no notifier while the launcher is stopped');
$control->run("SELECT stream_append('s', 'unseen')");
$control->run("SELECT pg_terminate_backend($launcher)");
kill 'CONT', $launcher;
ok(until_true($control, $running), 'a new launcher starts the notifier that is missing');
like(join(' ', $one->notified(qr/\*/)), qr/^\*/, 'and what was appended meanwhile is covered by checking everything');

# SIGHUP: waits begun after it use the new interval. Without wake-ups nothing else ends them.

reload_until($node, 'pg_rill.wakeups' => 'off', 'pg_rill.recheck_interval' => '50ms');
my $waiter = session($node);
my $writer = session($node);
my $rescues = stat_of('rescues');
$waiter->start("SELECT stream_wait('sighup', 0, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$writer->run("SELECT stream_append('sighup', 'x')");
is($waiter->finish, '1', 'a changed pg_rill.recheck_interval reaches new waits by SIGHUP');
is(stat_of("rescues - $rescues"), '1', 'and it was the recheck that ended the wait');
reload_until($node, 'pg_rill.wakeups' => 'on', 'pg_rill.recheck_interval' => '1s');
$_->quit for $waiter, $writer;

# SIGKILL: the server restarts everything

my $before = chunks($control, 's');
my $head = $control->run("SELECT stream_head('s')");
$pid = $control->run($notifier_pid);
kill 'KILL', $pid;
eventually(sub { $one->query('SELECT 1'); $one->error ne '' });
like($one->error, qr/57P02|connection/, 'SIGKILL of the notifier restarts the server');
$_->quit for $one, $control;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
$control = session($node);
ok(until_true($control, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_rill launcher'"), 'the launcher is back');
is(chunks($control, 's'), $before, 'nothing is lost');
is($control->run("SELECT stream_append('s', 'after')"), $head + 1, 'ids go on');
$one = session($node);
$one->run('SELECT stream_listen()');
ok(until_true($control, $running), 'the notifier is back for a listener');
is(join(' ', $one->notified(qr/\*/)), '*', 'and tells it to check everything');

# Fast shutdown

$waiter = session($node);
$waiter->start("SELECT stream_wait('s', $head + 1, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
my $mark = -s $node->logfile;
$node->stop('fast');
$waiter->finish;
like($waiter->error, qr/57P01/, 'a fast shutdown ends a waiting session with the usual error');
my $log = substr(slurp_file($node->logfile), $mark);
like($log, qr/database system is shut down/, 'a fast shutdown with waiting and listening sessions is clean');
unlike($log, qr/PANIC|exited with exit code (?![01]\b)|terminated by signal/, 'and no process ends badly');
$_->quit for $one, $control, $waiter;

# Too few worker slots: the launchers of pg_rill and of logical replication take both.

$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->start;
$control = session($node);
$one = session($node);
$one->run('SELECT stream_listen()');
ok($node->wait_for_log(qr/pg_rill could not start a notifier for database \d+: no free background worker slot/),
	'without a free worker slot, a log line says so');
$head = $control->run("SELECT stream_append('s', 'polled')");
is($one->run("SELECT stream_head('s')"), $head, 'and polling works');
$one->start("SELECT stream_wait('s', $head, '1 hour')");
ok(asleep($control, $one), 'a session waits');
$control->run("SELECT stream_append('s', 'woken')");
is($one->finish, $head + 1, 'and waits in the server are woken by the writer');
# The launcher retries after half a second, and again. Only time can show that it does so silently.
my $now = $control->run('SELECT clock_timestamp()');
until_true($control, "SELECT clock_timestamp() > '$now'::timestamptz + '2 s'");
is(stat_of('notifier_state'), 'absent', 'there is no notifier');
is(log_count($node, qr/could not start a notifier/), 1, 'and it is one log line');
$_->quit for $one, $control;
$node->stop;
done_testing();
