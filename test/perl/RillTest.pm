# What the TAP tests share: nodes with pg_rill, and psql sessions that can be left waiting.
#
# PostgreSQL::Test's background psql changed between minor releases and cannot start a query and collect its result
# later, so this module has a small session class of its own.
# Must survive: a server that dies during a query (finish() then returns what had arrived), and a loaded machine (every
# wait is for a condition, with the generous deadline of PostgreSQL::Test).
package RillTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(rill_node session until_true eventually asleep waits_in chunks fails reload_until log_count compile_library);

# A running node with pg_rill preloaded, and created in database postgres.
# Options: conf => text for postgresql.conf, preload => 0, extension => 0, init => [arguments of init]
sub rill_node
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(@{ $option{init} // [] });
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_rill'\n") if $option{preload} // 1;
	# PostgreSQL::Test disables it.
	$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\n" . ($option{conf} // ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_rill') if $option{extension} // 1;
	return $node;
}

sub session
{
	my ($node, $database) = @_;
	return RillTest::Session->new($node, $database // 'postgres');
}

# Calls the code until it returns true. Returns false at the deadline: $limit seconds, or a generous default.
sub eventually
{
	my ($code, $limit) = @_;
	my $deadline = time + ($limit // $PostgreSQL::Test::Utils::timeout_default);
	while (time < $deadline)
	{
		return 1 if $code->();
		usleep(30_000);
	}
	return 0;
}

# Repeats the query until its result is "t".
sub until_true
{
	my ($session, $sql, $limit) = @_;
	my $answer = '';
	return 1 if eventually(sub { ($answer = $session->run("SELECT ($sql)")) eq 't' }, $limit);
	diag("last answer to $sql: $answer");
	return 0;
}

# Waits until the sessions sleep in one of the extension's waits.
sub asleep
{
	my ($observer, @sessions) = @_;
	my $pids = join ',', map { $_->pid } @sessions;
	my $count = @sessions;
	return until_true($observer,
		"SELECT count(*) = $count FROM pg_stat_activity WHERE pid IN ($pids) AND state = 'active' AND wait_event_type = 'Extension'");
}

# Waits until the only process of this backend type sleeps in this wait event. Servers before 17 show only "Extension".
sub waits_in
{
	my ($observer, $type, $event) = @_;
	return until_true($observer, "SELECT count(*) = 1 AND bool_and(wait_event_type = 'Extension' AND wait_event = "
		  . "CASE WHEN current_setting('server_version_num')::int < 170000 THEN 'Extension' ELSE '$event' END)"
		  . " FROM pg_stat_activity WHERE backend_type = '$type' AND wait_event_type IS DISTINCT FROM 'Client' AND pid <> pg_backend_pid()");
}

# The result of a read, in its order: "1:a 2:b 3:EOF".
sub chunks
{
	my ($session, $stream, $cursor) = @_;
	$cursor //= 0;
	return $session->query(
		"SELECT coalesce(string_agg(chunk_id || ':' || CASE WHEN eof THEN 'EOF' ELSE convert_from(data, 'UTF8') END, ' '), '')"
		  . " FROM stream_read_since('$stream', $cursor, max_chunks => 1000000)");
}

# The statement must fail with this SQLSTATE, and its message, detail or hint must match.
sub fails
{
	my ($session, $sql, $sqlstate, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->query($sql);
	return like($session->error, qr/(?:ERROR|FATAL):  $sqlstate: .*$pattern/s, $name);
}

# Changes settings and waits until new sessions have them; a reload is asynchronous.
sub reload_until
{
	my ($node, %setting) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$setting{$_}'") for keys %setting;
	$node->reload;
	for (keys %setting)
	{
		$node->poll_query_until('postgres', "SELECT current_setting('$_') = '$setting{$_}'") or die "$_ did not become $setting{$_}";
	}
	return;
}

sub log_count
{
	my ($node, $pattern) = @_;
	my @found = slurp_file($node->logfile) =~ /$pattern/g;
	return scalar @found;
}

# Builds test/lib/NAME.c and returns the path of the library.
sub compile_library
{
	my ($name, @options) = @_;
	my $library = "$PostgreSQL::Test::Utils::tmp_check/$name.so";
	my $source = dirname(__FILE__) . "/../lib/$name.c";
	PostgreSQL::Test::Utils::system_or_bail($ENV{CC} // 'gcc', '-O1', '-shared', '-fPIC', @options, '-o', $library, $source);
	return $library;
}

# One psql process. query() runs statements to their end; start() leaves them running, and finish() collects their output.
package RillTest::Session;

use IPC::Run;
use Time::HiRes qw(usleep);

sub new
{
	my ($class, $node, $database) = @_;
	my $self = bless { stdin => '', stdout => '', stderr => '', notified => [], error => '', number => 0 }, $class;
	local $SIG{PIPE} = 'IGNORE';
	$self->{timer} = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr($database), '-f', '-' ],
		'<', \$self->{stdin}, '>', \$self->{stdout}, '2>', \$self->{stderr}, $self->{timer});
	$self->{pid} = $self->query('SELECT pg_backend_pid()');
	die "no session: " . $self->error if $self->{pid} !~ /^\d+$/;
	return $self;
}

sub pid { return $_[0]->{pid} }

# What the last statements wrote to stderr: errors and notices.
sub error { return $_[0]->{error} }

sub start
{
	my ($self, $sql) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $mark = 'end-of-statement-' . ++$self->{number};
	@$self{qw(stdout stderr)} = ('', '');
	$self->{stdin} .= "$sql\n;\n\\echo '$mark'\n\\warn '$mark'\n";
	eval { $self->{run}->pump_nb };
	return $self;
}

# The output of the statements that start() began, or what had arrived when the session was lost.
sub finish
{
	my ($self) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $mark = qr/end-of-statement-$self->{number}\n/;
	$self->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	until ($self->{stdout} =~ /$mark/ && $self->{stderr} =~ /$mark/)
	{
		last if !$self->{run}->pumpable || !eval { $self->{run}->pump; 1 };
		die "a statement did not end: $self->{stdout}$self->{stderr}" if $self->{timer}->is_expired;
	}
	my ($output, $error) = @$self{qw(stdout stderr)};
	s/$mark// for $output, $error;
	while ($output =~ s/^Asynchronous notification "pg_rill" with payload "(.*)" received from server process with PID \d+\.\n//m)
	{
		push @{ $self->{notified} }, $1;
	}
	chomp $output;
	$self->{error} = $error;
	return $output;
}

sub query
{
	my ($self, $sql) = @_;
	return $self->start($sql)->finish;
}

# Runs statements that must succeed.
sub run
{
	my ($self, $sql) = @_;
	my $output = $self->query($sql);
	die "failed: $sql\n$self->{error}" if $self->{error} =~ /ERROR|FATAL|PANIC|lost/;
	return $output;
}

# The payloads of notifications since the last call, once one of them matches or at the deadline.
sub notified
{
	my ($self, $pattern) = @_;
	RillTest::eventually(
		sub {
			$self->query('SELECT 1');
			return grep { /$pattern/ } @{ $self->{notified} };
		});
	my @payloads = @{ $self->{notified} };
	$self->{notified} = [];
	return @payloads;
}

sub quit
{
	my ($self) = @_;
	local $SIG{PIPE} = 'IGNORE';
	$self->{stdin} .= "\\q\n";
	eval { $self->{run}->finish };
	return;
}

1;
