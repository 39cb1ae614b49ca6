# Many sessions wait: what is kept of each has its own place in shared memory, and the state of two databases, which
# lies behind it, stays what it was.
use strict;
use warnings FATAL => 'all';
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use RillTest;

my $sessions = 50;
my $node = rill_node('main', conf => "max_connections = 100\npg_rill.recheck_interval = 60s\n");   # of which the last ones are given first
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION pg_rill');
my @databases = map { session($node, $_) } 'postgres', 'second';
$_->run('SELECT stream_listen()') for @databases;
ok(until_true($_, "SELECT notifier_state = 'running' FROM stream_stat"), 'a notifier runs') for @databases;
# As a session sees it that looks for the database's place.
sub states
{
	return [ map { $node->safe_psql($_, 'SELECT listeners, notifier_pid, stats_since FROM stream_stat') } 'postgres', 'second' ];
}
my $before = states();

my @waiting = map { session($node) } 1 .. $sessions;
$_->start("SELECT stream_wait('s', 0, '1 hour')") for @waiting;
ok(asleep($databases[0], @waiting), "$sessions sessions wait");
is_deeply(states(), $before, 'nothing else has changed');
$databases[0]->run("SELECT stream_append('s', 'x')");
is(scalar(grep { $_->finish eq '1' } @waiting), $sessions, 'all are woken');
is_deeply(states(), $before, 'nor when they have ended');
is($databases[0]->run('SELECT wakeups FROM stream_stat'), $sessions, 'each was woken once, by the commit');
is($databases[1]->run("SELECT stream_append('s', 'x')"), '1', 'the second database takes appends');

$_->quit for @waiting, @databases;
$node->stop;
done_testing();
