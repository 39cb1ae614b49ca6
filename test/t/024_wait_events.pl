# Servers from 17 on have 127 custom wait events for all extensions together. Others may take them all: after the server
# has started, which leaves pg_rill its own, or before pg_rill is loaded, and then its waits are shown as "Extension".
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my ($version) = `$ENV{PG_CONFIG} --version` =~ /(\d+)/;
plan skip_all => 'servers before 17 have no custom wait events' if $version < 17;

chomp(my $include = `$ENV{PG_CONFIG} --includedir-server`);
my $hog = compile_library('wait_event_hog', "-I$include");
my $node = rill_node('main');

# All of the server's processes that wait do so in their event, and are woken from it.
sub waits_work
{
	my ($when, %event) = @_;
	my ($control, $waiter, $listener, $writer) = map { session($node) } 1 .. 4;
	my $event_of = sub { "SELECT wait_event = '$event{$_[0]}' FROM pg_stat_activity WHERE $_[1]" };
	my $head = $control->run("SELECT stream_append('s', 'x')");
	$waiter->start("SELECT stream_wait('s', $head, '1 hour')");
	ok(until_true($control, $event_of->('session', 'pid = ' . $waiter->pid)), "$when: a session waits");
	$listener->run('SELECT stream_listen()');
	ok(until_true($control, "SELECT notifier_state = 'running' FROM stream_stat"), 'a notifier runs');
	$listener->notified(qr/\*/);
	ok(until_true($control, $event_of->('notifier', "backend_type = 'pg_rill notifier'")), 'and waits');
	ok(until_true($control, $event_of->('launcher', "backend_type = 'pg_rill launcher'")), 'so does the launcher');
	$writer->run("SELECT stream_append('s', 'x')");
	is($waiter->finish, $head + 1, 'the session is woken');
	ok($listener->notified(qr/\d/), 'and the listener, too');
	$_->quit for $control, $waiter, $listener, $writer;
	return;
}

$node->safe_psql('postgres', "CREATE FUNCTION wait_event_hog() RETURNS void LANGUAGE c AS '$hog'");
my ($status, undef, $error) = $node->psql('postgres', 'SELECT wait_event_hog()');
like($error, qr/too many/, 'all custom wait events are taken');
waits_work('taken later', session => 'PgRillStreamWait', notifier => 'PgRillNotifierMain', launcher => 'PgRillLauncherMain');

$node->append_conf('postgresql.conf', "shared_preload_libraries = '$hog, pg_rill'");
$node->restart;
waits_work('taken earlier', session => 'Extension', notifier => 'Extension', launcher => 'Extension');

$node->stop;
done_testing();
