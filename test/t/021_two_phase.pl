# Two-phase commit: COMMIT PREPARED and ROLLBACK PREPARED wake waiters and listeners, whichever session runs them.
# The recheck, a minute here, would also end the waits; stream_stat.rescues shows that it did not.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "max_prepared_transactions = 3\npg_rill.recheck_interval = 60s\n");
my $control = session($node);
my $waiter = session($node);
my $listener = session($node);
my $other = session($node);
$listener->run('SELECT stream_listen()');
ok(until_true($control, "SELECT notifier_state = 'running' FROM stream_stat"), 'the notifier runs');
$listener->notified(qr/\*/);

$control->run("SELECT stream_append('s', 'x'), stream_append('quiet', 'x')");
my $id = $control->run("SELECT stream_id FROM stream WHERE name = 's'");
$listener->notified(qr/\d/);

$waiter->start("SELECT stream_wait('s', 1, '10 min')");
$other->start("SELECT stream_wait('quiet', 1, '10 min')");
ok(asleep($control, $waiter, $other), 'two sessions wait');
my $wakeups = $control->run('SELECT wakeups FROM stream_stat');
$control->run("BEGIN; SELECT stream_append('s', 'prepared'); PREPARE TRANSACTION 'one'");
$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
is($waiter->finish, '2', 'COMMIT PREPARED in another session wakes the waiter');
is($control->run('SELECT rescues FROM stream_stat'), '0', 'by a wake-up, not by the recheck');
is(join(' ', $listener->notified(qr/\d/)), $id, 'and notifies listeners of the stream');
is($control->run("SELECT wakeups - $wakeups FROM stream_stat"), '1', 'and wakes no other session');

$control->run('SELECT pg_cancel_backend(' . $other->pid . ')');
$other->finish;

# A rolled-back one releases what it held back.
$control->run("BEGIN; SELECT stream_append('s', 'never'); PREPARE TRANSACTION 'two'");
$control->run("SELECT stream_append('s', 'after')");
$waiter->start("SELECT stream_wait('s', 2, '10 min')");
ok(asleep($control, $waiter), 'a prepared append holds back the later one');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'two'");
is($waiter->finish, '4', 'ROLLBACK PREPARED wakes the waiter for what it released');
is($control->run('SELECT rescues FROM stream_stat'), '0', 'again by a wake-up');

# Prepared transactions that touch no stream wake no session.
$wakeups = $control->run('SELECT wakeups FROM stream_stat');
$control->run("CREATE TABLE t (); BEGIN; INSERT INTO t DEFAULT VALUES; PREPARE TRANSACTION 'three'");
$node->safe_psql('postgres', "COMMIT PREPARED 'three'");
is($control->run("SELECT wakeups - $wakeups FROM stream_stat"), '0', 'a prepared transaction without appends wakes no session');

# More streams than a note holds, and a note lost in a restart: every waiting session checks its streams.
$control->run("BEGIN; SELECT stream_append('many-' || i, 'x') FROM generate_series(1, 40) i; PREPARE TRANSACTION 'many'");
$waiter->start("SELECT stream_wait('many-40', 0, '10 min')");
ok(asleep($control, $waiter), 'a session waits for one of many streams');
$node->safe_psql('postgres', "COMMIT PREPARED 'many'");
is($waiter->finish, '1', 'it is woken');
is($control->run('SELECT rescues FROM stream_stat'), '0', 'again by a wake-up');

$control->run("BEGIN; SELECT stream_append('s', 'over the restart'); PREPARE TRANSACTION 'old'");
$control->run("BEGIN; SELECT stream_append('s', 'over the restart, too'); PREPARE TRANSACTION 'older'");
$_->quit for $control, $waiter, $listener, $other;
$node->stop('immediate');
$node->start;
($control, $waiter, $listener) = map { session($node) } 1 .. 3;
$listener->run('SELECT stream_listen()');
ok(until_true($control, "SELECT notifier_state = 'running' FROM stream_stat"), 'the notifier runs again');
$listener->notified(qr/\*/);
is($control->run("SELECT stream_head('s')"), '4', 'prepared appends still hold back the prefix after a crash');
is($control->run("SELECT stream_append('s', 'later')"), '7', 'and keep their ids');
$listener->notified(qr/\d/);
$waiter->start("SELECT stream_wait('s', 4, '10 min')");
ok(asleep($control, $waiter), 'a session waits');
$node->safe_psql('postgres', "COMMIT PREPARED 'old'");
is($waiter->finish, '5', 'a transaction prepared before a restart wakes the waiter');
is(join(' ', $listener->notified(qr/\*/)), '*', 'and listeners are told to check every stream');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'older'");
is(chunks($control, 's', 4), '5:over the restart 7:later', 'rolled-back chunks are skipped');
is($control->run('SELECT rescues FROM stream_stat'), '0', 'no wait was ended by a recheck');
$node->stop;
done_testing();
