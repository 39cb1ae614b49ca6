# stream_interrupt ends another session's wait, as if its timeout had come: every form of waiting, at any moment, and
# only the wait that the session is in. Who may is whoever may cancel that session's query.
# All timeouts are an hour, and the recheck comes each minute: an interrupt that is lost fails at the test's deadline.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.recheck_interval = 60s\n");
my ($control, $waiter, $writer) = map { session($node) } 1 .. 3;
my $interrupt = 'SELECT stream_interrupt(' . $waiter->pid . ')';

sub wait_in
{
	my ($sql) = @_;
	$waiter->start($sql);
	asleep($control, $waiter) or die "does not sleep: $sql";
	return;
}

# [statement, its answer when the time is over, its answer when chunk 1 of its stream comes]
my @forms = (
	[ "SELECT stream_wait('STREAM', 0, '1 hour')", '', '1' ],
	[ "SELECT stream, head FROM stream_wait_many('{quiet,STREAM}', '{0,0}', '1 hour')", '', 'STREAM|1' ],
	[ "SELECT chunk_id FROM stream_read_since('STREAM', 0, timeout => '1 hour')", '', '1' ],
	[ "SELECT stream_read_since('STREAM', 0, timeout => '1 hour') IS NULL", '', 'f' ],
	[ "SELECT stream, chunk_id FROM stream_read_many('{quiet,STREAM}', '{0,0}', timeout => '1 hour')", '', 'STREAM|1' ],
	[ "CALL stream_await('STREAM', 0, '1 hour')", '', '1' ],
	[ "CALL stream_await_many('{quiet,STREAM}', '{0,0}', '1 hour')", '', '{STREAM}' ],
	[ "CALL stream_fetch_await('{quiet,STREAM}', '{0,0}', '1 hour')", qr/^\|+$/, qr/^2\|\d+\|\\x/ ]);
for my $n (0 .. $#forms)
{
	my ($sql, $none, $one) = @{ $forms[$n] };
	my $stream = "s-$n";
	s/STREAM/$stream/ for $sql, $one;
	my $answers = sub { ref $_[0] ? $waiter->finish =~ $_[0] : $waiter->finish eq $_[0] };
	is($control->run($interrupt), 'f', "$sql: no wait, nothing to interrupt");
	wait_in($sql);
	is($control->run($interrupt), 't', "$sql: its wait is interrupted");
	ok($answers->($none), "$sql: and ends as at the timeout") or diag($waiter->error);
	is($waiter->error, '', "$sql: without an error");
	is($control->run($interrupt), 'f', "$sql: that wait is over");
	wait_in($sql);
	$writer->run("SELECT stream_append('$stream', 'x')");
	ok($answers->($one), "$sql: the next wait knows nothing of it");
}

# In a transaction that goes on after its wait; and a wait forever.
wait_in("BEGIN; SELECT stream_wait('forever', 0, NULL)");
is($control->run($interrupt), 't', 'a wait forever');
is($waiter->finish, '', 'ends as well');
is($control->run($interrupt), 'f', 'the transaction that goes on is not waiting');
$waiter->run("COMMIT");
# A wait that an error has ended.
$waiter->start("SET statement_timeout = '100ms'; SELECT stream_wait('forever', 0, NULL); RESET statement_timeout");
$waiter->finish;
like($waiter->error, qr/57014/, 'a wait ended by statement_timeout');
is($control->run($interrupt), 'f', 'is over, too');
# The check of the wait is held up by a lock that a policy needs: the interrupt comes meanwhile, and is not lost.
$control->run("CREATE TABLE allowed AS SELECT 'held'::text AS name; GRANT SELECT ON allowed TO PUBLIC; CREATE ROLE reader LOGIN;"
	  . " GRANT SELECT ON stream TO reader; ALTER TABLE stream ENABLE ROW LEVEL SECURITY;"
	  . " CREATE POLICY p ON stream FOR SELECT USING (name IN (SELECT a.name FROM allowed a))");
$writer->run("SELECT stream_append('held', 'x')");
$waiter->run('SET ROLE reader');
wait_in("SELECT stream_wait('held', 1, '1 hour')");
$control->run('BEGIN; LOCK TABLE allowed');
$writer->run("SELECT stream_append('other', 'x')");
$writer->run("BEGIN; SELECT stream_append('held', 'y'); ROLLBACK");    # wakes
until_true($control, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = " . $waiter->pid) or die 'the check does not wait';
is($control->run($interrupt), 't', 'an interrupt during a check');
$control->run('COMMIT');
is($waiter->finish, '', 'ends the wait after it');
$waiter->run('RESET ROLE');

# The wake-up and the interrupt at the same time: one of the two ends the wait, and nothing is left for the next one.
my ($by_interrupt, $by_chunk) = (0, 0);
$writer->run("SELECT stream_append('race', 'x')");
for my $id (1 .. 25)
{
	wait_in("SELECT stream_wait('race', $id, '1 hour')");
	my @both = ([ $control, $interrupt ], [ $writer, "SELECT stream_append('race', 'x')" ]);
	$_->[0]->start($_->[1]) for $id % 2 ? @both : reverse @both;
	my ($interrupted, $next) = map { $_->[0]->finish } @both;
	my $answer = $waiter->finish;
	++($answer eq '' ? $by_interrupt : $by_chunk);
	ok($next eq $id + 1 && ($answer eq $next || $answer eq '' && $interrupted eq 't'), "race for chunk $next: '$answer', interrupted: $interrupted");
	next if $id % 5;
	wait_in("SELECT stream_wait('after the race', $id / 5 - 1, '1 hour')");
	$writer->run("SELECT stream_append('after the race', 'x')");
	is($waiter->finish, $id / 5, 'the next wait ends by its chunk alone');
}
note("$by_interrupt ended by the interrupt, $by_chunk by the chunk");

# Who may. The waiting session is of role owner, then of a superuser.
$control->run("CREATE ROLE owner LOGIN; CREATE ROLE member LOGIN IN ROLE owner; CREATE ROLE stranger LOGIN;"
	  . " CREATE ROLE signaller LOGIN IN ROLE pg_signal_backend; GRANT SELECT ON stream TO owner");
my $owners = do { local $ENV{PGUSER} = 'owner'; session($node) };
for my $case ([ $owners, { owner => 't', member => 't', stranger => '42501', signaller => 't', postgres => 't' } ],
	[ $waiter, { owner => '42501', member => '42501', stranger => '42501', signaller => '42501' } ])
{
	my ($session, $wanted) = @$case;
	for my $role (sort keys %$wanted)
	{
		my $whose = $session == $owners ? "an owner's wait" : "a superuser's wait";
		$session->start("SELECT stream_wait('rights', 0, '1 hour')");
		asleep($control, $session) or die 'does not sleep';
		$control->run("SET ROLE $role") if $role ne 'postgres';
		my $answer = $control->query('SELECT stream_interrupt(' . $session->pid . ')');
		$answer = $1 if $control->error =~ /ERROR:  (\w+):/;
		$control->run('RESET ROLE');
		is($answer, $wanted->{$role}, "$role and $whose");
		if ($answer ne 't')
		{
			ok(asleep($control, $session), 'which goes on');
			$control->run('SELECT stream_interrupt(' . $session->pid . ')');
		}
		is($session->finish, '', 'and ends');
	}
}
is($control->run("SELECT stream_interrupt(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill launcher%'"), 'f', 'a background process is not waiting');
my $gone = $owners->pid;
$owners->quit;
until_true($control, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $gone)");
is($control->run("SELECT stream_interrupt($gone)"), 'f', 'a process that is gone');
fails($control, 'SELECT stream_interrupt(NULL)', '22004', '"pid"', 'null');
fails($control, "SELECT stream_interrupt($_)", '22023', '"pid"', "pid $_") for 0, -1;
is($control->run('SELECT stream_interrupt(pg_backend_pid())'), 'f', 'oneself');
is($control->run('SELECT sum(waiters) FROM stream_stat'), '0', 'no wait is left behind');
$_->quit for $control, $waiter, $writer;
$node->stop;
done_testing();
