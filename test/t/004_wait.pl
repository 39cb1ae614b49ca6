# Waiting in the server: a wait is woken only by what can end it, can be cancelled at any time, and holds nothing in its
# procedure form.
# The recheck interval is a minute here. Waits that the recheck ends are counted in stream_stat.rescues, so the tests
# distinguish wake-ups from rechecks without a clock.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $node = rill_node('main', conf => "pg_rill.recheck_interval = 60s\npg_rill.max_waits = 64\n");
my $control = session($node);
my ($waiter, $one, $two) = map { session($node) } 1 .. 3;
sub stat_of { return $control->run("SELECT $_[0] FROM stream_stat") }

# Starts the statement in the waiter and returns when it sleeps.
sub wait_in
{
	my ($sql) = @_;
	$waiter->start($sql);
	asleep($control, $waiter) or die "does not sleep: $sql";
	return;
}

# All forms of waiting behave alike.
for my $form ([ 'stream_wait', sub { "SELECT stream_wait('$_[0]', $_[1], '1 hour')" } ],
	[ 'stream_await', sub { "CALL stream_await('$_[0]', $_[1], '1 hour')" } ],
	[ 'stream_read_since', sub { "SELECT max(chunk_id) FROM stream_read_since('$_[0]', $_[1], timeout => '1 hour')" } ],
	[ 'stream_await_many', sub { "CALL stream_await_many(ARRAY['quiet', '$_[0]'], ARRAY[0, $_[1]], '1 hour')" } ])
{
	my ($name, $wait) = @$form;
	my $s = "s-$name";
	my $woken = sub { $name =~ /many/ ? "{$s}" : $_[0] };

	my $wakeups = stat_of('wakeups');
	wait_in($wait->($s, 0));
	ok(waits_in($control, 'client backend', 'PgRillStreamWait'), "$name: sleeps in a wait event with a name");
	$one->run("SELECT stream_append('$s', 'first')");
	is($waiter->finish, $woken->(1), "$name: woken by the commit that creates the stream");
	is(stat_of("wakeups - $wakeups"), 1, "$name: one commit wakes one session once");

	wait_in($wait->($s, 1));
	$one->run("BEGIN; SELECT stream_append('$s', 'second')");
	ok(asleep($control, $waiter), "$name: an open transaction does not end the wait");
	$one->run('COMMIT');
	is($waiter->finish, $woken->(2), "$name: its commit does");

	# 3 belongs to an open transaction, 4 is committed after it.
	wait_in($wait->($s, 2));
	$one->run("BEGIN; SELECT stream_append('$s', 'third')");
	$two->run("SELECT stream_append('$s', 'fourth')");
	ok(asleep($control, $waiter), "$name: a commit behind an open transaction does not end the wait");
	$one->run('ROLLBACK');
	is($waiter->finish, $woken->(4), "$name: the rollback that frees the prefix does");

	wait_in($wait->($s, 4));
	$one->run("BEGIN; SAVEPOINT a; SELECT stream_append('$s', 'fifth')");
	$two->run("SELECT stream_append('$s', 'sixth')");
	ok(asleep($control, $waiter), "$name: nor does one behind an open savepoint");
	$one->run('ROLLBACK TO a');
	is($waiter->finish, $woken->(6), "$name: ROLLBACK TO releases the prefix while the transaction continues");
	$one->run('COMMIT');

	# A backend that dies in a transaction releases the prefix, too.
	my $dying = session($node);
	wait_in($wait->($s, 6));
	$dying->run("BEGIN; SELECT stream_append('$s', 'seventh')");
	$two->run("SELECT stream_append('$s', 'eighth')");
	ok(asleep($control, $waiter), "$name: still held back");
	$control->run('SELECT pg_terminate_backend(' . $dying->pid . ')');
	is($waiter->finish, $woken->(8), "$name: a terminated writer releases the prefix");
	$dying->quit;
	# It counts the wake-up after sending it.
	until_true($control, 'NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ' . $dying->pid . ')') or die 'it does not end';

	$wakeups = stat_of('wakeups');
	wait_in($wait->($s, 8));
	$one->run("SELECT stream_append('x' || i, 'x') FROM generate_series(1, 200) i");
	is(stat_of("wakeups - $wakeups, waiters"), '0|1', "$name: 200 other streams do not wake it");
	$one->run("SELECT stream_close('$s')");
	is($waiter->finish, $woken->(9), "$name: woken by a close");
	is($waiter->run($wait->($s, 9)), $woken->(9), "$name: at the EOF there is nothing to wait for") if $name =~ /(wait|await)$/;

	# Cancelled and terminated
	wait_in($wait->('idle', 0));
	$control->run('SELECT pg_cancel_backend(' . $waiter->pid . ')');
	$waiter->finish;
	like($waiter->error, qr/ERROR:  57014: canceling statement due to user request/, "$name: cancelled at once");
	is(stat_of('waiters'), 0, "$name: a cancelled wait leaves nothing behind");
	$waiter->run("SET statement_timeout = '200ms'");
	$waiter->query($wait->('idle', 0));
	like($waiter->error, qr/ERROR:  57014: canceling statement due to statement timeout/, "$name: ended by statement_timeout");
	$waiter->run('RESET statement_timeout');
	wait_in($wait->('idle', 0));
	$control->run('SELECT pg_terminate_backend(' . $waiter->pid . ')');
	$waiter->finish;
	like($waiter->error, qr/57P01/, "$name: terminated at once");
	ok(until_true($control, 'SELECT waiters = 0 FROM stream_stat'), "$name: a terminated wait leaves nothing behind");
	$waiter->quit;
	$waiter = session($node);
}
is($waiter->run("SELECT stream_wait('idle', 0, '50 ms') IS NULL"), 't', 'stream_wait returns null at the timeout');
is($waiter->run("CALL stream_await('idle', 0, '50 ms')"), '', 'stream_await returns null at the timeout');
is($waiter->run("SELECT stream_wait('idle', 0, '0') IS NULL"), 't', 'at once with timeout 0');
is(stat_of('rescues'), 0, 'every wait so far was ended by a wake-up, none by a recheck');

# Many sessions on one stream

my @crowd = map { session($node) } 1 .. 4;
$_->start("SELECT stream_wait('crowd', 0, '1 hour')") for @crowd;
ok(asleep($control, @crowd), 'four sessions wait for one stream');
is(stat_of('waiters'), 4, 'and stream_stat counts them');
my $wakeups = stat_of('wakeups');
$one->run("SELECT stream_append('crowd', 'x')");
is(join(' ', map { $_->finish } @crowd), '1 1 1 1', 'one commit wakes them all');
is(stat_of("wakeups - $wakeups"), 4, 'each once');
$_->quit for @crowd;

# I7: what a waiting session holds

my $held = "SELECT backend_xmin IS NULL, backend_xid IS NULL FROM pg_stat_activity WHERE pid = ";
my $waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = ";
$one->run('CREATE TABLE garbage AS SELECT generate_series(1, 1000) AS n');
wait_in("CALL stream_await('idle', 0, '1 hour')");
is($control->run($held . $waiter->pid), 't|t', 'a session in stream_await has no snapshot and no transaction id');
is($control->run($waiting . $waiter->pid), '0', 'and no table lock');
$one->run('DELETE FROM garbage');
$one->run('VACUUM garbage');
is($one->run("SELECT pg_relation_size('garbage')"), '0', 'VACUUM removes rows that died while it sleeps');
$one->run("SELECT stream_append('idle', 'x')");
is($waiter->finish, '1', 'and it is woken');

$one->run('INSERT INTO garbage SELECT generate_series(1, 1000)');
wait_in("SELECT stream_wait('idle', 1, '1 hour')");
is($control->run($held . $waiter->pid), 'f|t', 'a session in stream_wait, the function, does hold a snapshot');
$one->run('DELETE FROM garbage');
$one->run('VACUUM garbage');
cmp_ok($one->run("SELECT pg_relation_size('garbage')"), '>', 0, 'and VACUUM cannot remove the rows');
$one->run("SELECT stream_append('idle', 'x')");
is($waiter->finish, '2', 'and it is woken');

$waiter->run('BEGIN');
fails($waiter, "CALL stream_await('idle', 2)", '25001', 'HINT:  .*stream_wait\(\)', 'stream_await in a transaction block is refused, and names the function form');
$waiter->run('ROLLBACK; BEGIN');
fails($waiter, "CALL stream_await_many(ARRAY['idle'], ARRAY[2])", '25001', 'HINT:  .*stream_wait_many\(\)', 'stream_await_many, too');
$waiter->run('ROLLBACK');
is($waiter->run("DO \$\$ DECLARE head bigint; BEGIN CALL stream_await('idle', 1, '1 s', head); ASSERT head = 2; END \$\$; SELECT 'done'"), 'done', 'it works in a DO block outside a transaction block');

# When wake-ups are lost

reload_until($node, 'pg_rill.wakeups' => 'off', 'pg_rill.recheck_interval' => '100ms');
# Sessions read the changed settings before their next statement.
$_->run('SELECT 1') for $waiter, $one;
my $rescues = stat_of('rescues');
wait_in("SELECT stream_wait('idle', 2, '1 hour')");
$one->run("SELECT stream_append('idle', 'x')");
is($waiter->finish, '3', 'without wake-ups the recheck finds the chunk');
is(stat_of("rescues - $rescues"), 1, 'and stream_stat counts the rescue');
$waiter->start("CALL stream_await('idle', 3, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
$one->run("SELECT stream_append('idle', 'x')");
is($waiter->finish, '4', 'the same with stream_await');
is(stat_of("rescues - $rescues"), 2, 'counted, too');
reload_until($node, 'pg_rill.wakeups' => 'on');
$_->run('SELECT 1') for $waiter, $one;

# More streams than pg_rill.max_waits: 64 entries and the session's own

$rescues = stat_of('rescues');
my $many = "SELECT stream, head FROM stream_wait_many((SELECT array_agg('m' || i ORDER BY i) FROM generate_series(1, 200) i), array_fill(%d, ARRAY[200]), '1 hour')";
wait_in(sprintf $many, 0);
$one->run("SELECT stream_append('m150', 'x')");
is($waiter->finish, 'm150|1', 'a stream beyond pg_rill.max_waits is found');
is(stat_of("rescues - $rescues"), 1, 'by the recheck');
reload_until($node, 'pg_rill.recheck_interval' => '1min');   # a recheck at the moment of the commit would end the wait first
$_->run('SELECT 1') for $waiter, $one;
$one->run("SELECT stream_append('m' || i, 'x') FROM generate_series(1, 200) i WHERE i <> 150");
wait_in(sprintf $many, 1);
$wakeups = stat_of('wakeups');
$one->run("SELECT stream_append('m1', 'x')");
is($waiter->finish, 'm1|2', 'a stream with an entry is found');
is(stat_of("wakeups - $wakeups"), 1, 'by a wake-up');
wait_in("SELECT stream_wait_many(ARRAY['m2', 'm3'], ARRAY[1, 1], '1 hour')");
$wakeups = stat_of('wakeups');
$one->run("SELECT stream_append('m3', 'x')");
is($waiter->finish, '(m3,2,f,)', 'the entries were freed: the next wait gets them');
is(stat_of("wakeups - $wakeups"), 1, 'and is woken through them');

# Postmaster death

$waiter->start("SELECT stream_wait('idle', 4, '1 hour')");
$one->start("CALL stream_await('idle', 4, '1 hour')");
ok(asleep($control, $waiter, $one), 'two sessions wait');
my @processes = split /\n/, $control->run('SELECT pid FROM pg_stat_activity');
$node->kill9;
for ($waiter, $one)
{
	$_->finish;
	like($_->error, qr/closed the connection|connection to server was lost/, 'the death of the postmaster ends the wait');
}
$_->quit for $waiter, $one, $two, $control;
# The old server's shared memory exists until its last process has noticed.
ok(eventually(sub { !grep { kill 0, $_ } @processes }), 'and every process of the server ends');
$node->start;
is($node->safe_psql('postgres', "SELECT stream_head('idle')"), '4', 'and nothing is lost');
$node->stop;
done_testing();
