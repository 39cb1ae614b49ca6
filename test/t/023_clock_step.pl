# The wall clock is set forward or back while the server runs: waits keep their timeouts and rechecks, and the launcher
# its schedules. The server runs with a library that moves its wall clock, and only that one (test/lib/stepped_clock.c).
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

plan skip_all => 'needs LD_PRELOAD' if $^O ne 'linux';

my $clock = "$PostgreSQL::Test::Utils::tmp_check/clock";
my $ahead = 0;
append_to_file($clock, pack('q', 0));
# Sets the wall clock by so many seconds.
sub step
{
	my ($seconds) = @_;
	$ahead += $seconds;
	open my $file, '+<', $clock or die "$clock: $!";
	defined syswrite $file, pack('q', $ahead) or die "$clock: $!";
	close $file;
	return;
}

my $library = compile_library('stepped_clock');
local $ENV{PG_RILL_TEST_CLOCK} = $clock;
local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $library;
my $node = rill_node('main', conf => "pg_rill.recheck_interval = 100ms\npg_rill.retention_interval = 1s\n");
delete local $ENV{LD_PRELOAD};
my $control = session($node);
my $waiter = session($node);
my $writer = session($node);

my $before = $control->run('SELECT clock_timestamp()');
step(7200);
is($control->run("SELECT clock_timestamp() > '$before'::timestamptz + '1 hour'"), 't', 'the clock of a running server can be set');

# Forward. Another wait lasts ten rechecks long: all of it after the step.

$waiter->start("SELECT stream_wait('s', 0, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
step(7200);
is($control->run("SELECT stream_wait('other', 0, '1 s') IS NULL"), 't', 'the clock is set forward beyond its timeout; a wait begun after that lasts its own');
ok(asleep($control, $waiter), 'and it still waits');
$writer->run("SELECT stream_append('s', 'x')");
is($waiter->finish, '1', 'until there is a chunk');

# Back. Nothing but the recheck ends the wait.

reload_until($node, 'pg_rill.wakeups' => 'off');
$_->run('SELECT 1') for $waiter, $writer;
my $rescues = $control->run('SELECT rescues FROM stream_stat');
$waiter->start("SELECT stream_wait('s', 1, '1 hour')");
ok(asleep($control, $waiter), 'a session waits');
step(-7200);
$writer->run("SELECT stream_append('s', 'x')");
ok(until_true($control, "SELECT rescues = $rescues + 1 FROM stream_stat", 30), 'the clock is set back, and the recheck comes all the same');
$control->run('SELECT pg_cancel_backend(' . $waiter->pid . ')');
is($waiter->finish, '2', 'and finds the chunk');
reload_until($node, 'pg_rill.wakeups' => 'on');

# The launcher starts a notifier again half a second after it started the last one at the earliest.

$waiter->run('SELECT stream_listen()');
my $notifier = "SELECT notifier_state = 'running' FROM stream_stat";
ok(until_true($control, $notifier), 'a notifier runs');
my $pid = $control->run('SELECT notifier_pid FROM stream_stat');
step(-7200);
$control->run("SELECT pg_terminate_backend($pid)");
ok(until_true($control, "SELECT notifier_state = 'running' AND notifier_pid <> $pid FROM stream_stat", 30),
	'the clock is set back, and a notifier that ends is started again');

# Retention goes to each database once a second.

$writer->run("SELECT stream_create('limited', max_chunks => 1), stream_append_many('limited', '{a,b}')");
ok(until_true($control, "SELECT min(chunk_id) = 2 FROM stream_read_since('limited', 0)"), 'retention removes a chunk');
# The clock is set between two passes, when the time of the next one has been set.
ok(until_true($control, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_rill retention'"), 'and its worker leaves');
$control->run("SELECT stream_wait('other', 0, '200 ms')");
step(-7200);
$writer->run("SELECT stream_append('limited', 'c')");
ok(until_true($control, "SELECT min(chunk_id) = 3 FROM stream_read_since('limited', 0)", 30),
	'the clock is set back, and retention comes again in time');

$node->stop;
done_testing();
