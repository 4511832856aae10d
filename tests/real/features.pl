# What Perl has beyond its core loops: modules written in C, threads, processes, signals, sockets, formats, closures.
use strict;
use warnings;
use Config;
use Data::Dumper;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_hex sha512_base64);
use Encode;
use File::Find;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use List::Util qw(sum max first shuffle reduce);
use MIME::Base64;
use POSIX qw(floor strftime fmod WNOHANG :sys_wait_h);
use Socket;
use Storable qw(freeze thaw dclone);
use Time::HiRes qw(usleep time);
use Time::Local qw(timegm);

$| = 1;
my $size = shift @ARGV;
$Data::Dumper::Sortkeys = 1;
$Data::Dumper::Indent = 1;

print "digests ", md5_hex("perl" x $size), " ", sha256_hex("perl" x $size), " ", sha512_base64("x"), "\n";
print "encode ", unpack("H*", encode("UTF-16BE", "Gr\x{fc}\x{df}e \x{1f388}")), " ", encode_base64(join "", map chr, 0 .. 99);
print "list ", sum(map $_ ** 2, 1 .. $size), " ", (reduce { $a * $b % 10007 } 1 .. $size), " ", first { $_ * $_ > 500 } 1 .. 99;
print "\n";
my $deep = {list => [1, [2, 3], {k => undef}], text => "a'b", code => 1.5e300};
print Dumper(thaw(freeze($deep)), dclone($deep->{list}));
print "time ", strftime("%Y-%m-%d %H:%M:%S %j %a", gmtime(1e9)), " ", timegm(0, 0, 0, 1, 0, 100), " ", fmod(-7.5, 2), "\n";
printf "numbers %s %.15g %e %x %b %s %s\n", 2 ** 53 + 1, 1 / 3, 1e-310, 0xdeadbeef, 10, 9 ** 9 ** 9, -9 ** 9 ** 9;
print "pack ", unpack("H*", pack("nNvVwa5A5Z5dfq>C*", 1, 2, 3, 4, 300, "ab", "cd", "ef", 1.5, -2.5, -3, 7, 8)), "\n";

my $text = join "\n", map { "key$_ = " . ($_ * 7919 % 101) . "; # note $_" } 1 .. $size;
my %found = $text =~ /^(key\d+) \s* = \s* (\d+) ;/xmg;
my $swapped = $text =~ s/(\w+) = (\d+)/$2 = $1/gr;
print "regex ", scalar(keys %found), " ", md5_hex($swapped), " ", join("|", "aXbXXc" =~ /([a-c])(?=X|$)/g), " ",
    join(",", split /(?<=,)|;/, "a,b;c,d"), " ", ("((a)(b(c)))" =~ /^(\((?:[^()]|(?1))*\))$/ ? "balanced" : "not"), "\n";
my @sorted = sort { length $a <=> length $b or $a cmp $b } map { sprintf "%o", $_ * 31 } 1 .. $size;
print "sort @sorted[0 .. 4] $sorted[-1]\n";

my $made = join ",", map { my $n = $_; sub { $n += shift } } 1 .. 3;
my @adders = map { my $n = $_; sub { $n += shift } } 1 .. 3;
$_->(10) for @adders;
print "closures ", join(",", map $_->(1), @adders), "\n";
{
    package Counter;
    use overload '+' => sub { Counter->new($_[0]{n} + (ref $_[1] ? $_[1]{n} : $_[1])) }, '""' => sub { "<$_[0]{n}>" };
    sub new { my ($class, $n) = @_; return bless {n => $n}, $class }
    sub DESTROY { $main::destroyed++ }
}
my $counter = Counter->new(1) + 2 + Counter->new(4);
print "objects $counter $main::destroyed\n";
eval { die {code => 42} };
print "caught $@->{code} ", (eval { 1 / 0 } // $@ =~ s/ at .*//sr), "\n";
local $SIG{__WARN__} = sub { print "warned: ", $_[0] =~ s/ at .*//sr, "\n" };
warn "careful";

my @pids = map { my $n = $_; fork // die; } 1 .. 1;
if ($pids[0] == 0) { exit 9 }
waitpid $pids[0], 0;
print "child ", $? >> 8, "\n";
pipe my $read, my $write;
if (!(my $pid = fork)) { close $read; print $write "line $_\n" for 1 .. $size; close $write; POSIX::_exit(0) }
close $write;
my @lines = <$read>;
wait;
print "pipe ", scalar(@lines), " $lines[-1]";
open my $sort, "-|", "printf 'c\\na\\nb\\n' | sort -r" or die;
print "command ", join(" ", map { chomp; $_ } <$sort>), "\n";
close $sort;
print "backticks ", `echo \$((6 * 7)); exit 3`, "status ", $? >> 8, "\n";

my ($alarms, $users) = (0, 0);
$SIG{ALRM} = sub { $alarms++ };
$SIG{USR1} = sub { $users++ };
Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0.002, 0.002);
kill USR1 => $$ for 1 .. 10;
usleep 1000 while $alarms < 3;
Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0);
print "signals ", $alarms >= 3 ? "timer" : "none", " $users\n";
eval { local $SIG{ALRM} = sub { die "late\n" }; alarm 1; select undef, undef, undef, 20; };
print "alarm $@";

my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die "no socket: $!";
if (!fork) {
    my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $server->sockport) or POSIX::_exit(1);
    print $client "hello $_\n" for 1 .. 50;
    POSIX::_exit(0);
}
my $connection = $server->accept;
my $got = 0;
$got++ while <$connection>;
wait;
print "socket $got\n";

my $folder = tempdir(CLEANUP => 1);
for my $name ("b", "a", "c/d") {
    mkdir "$folder/c";
    open my $file, ">", "$folder/$name" or die;
    print $file $name x 1000;
}
my @names;
find({wanted => sub { push @names, s/^\Q$folder//r . (-d $_ ? "/" : -s _) }, no_chdir => 1}, $folder);
print "files @{[sort @names]}\n";

if ($Config{useithreads}) {
    require threads;
    require threads::shared;
    require Thread::Queue;
    my $queue = Thread::Queue->new(1 .. 50);
    $queue->end;
    my @workers = map { threads->create(sub { my $sum = 0; while (defined(my $n = $queue->dequeue)) { $sum += $n } $sum }) } 1 .. 3;
    print "threads ", sum(map $_->join, @workers), "\n";
}
our ($name, $value) = ("thing", 3.14159);
format STDOUT =
@<<<<<<<< @>>>>> @##.## @|||||
$name, $name, $value, "mid"
.
write;
printf "%vd %s\n", "1.22.333", join " ", map { sprintf "%.10f", $_ } sin 1, cos 1, atan2(1, 2), exp 1, log 7, sqrt 2;
