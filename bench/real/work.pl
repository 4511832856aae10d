# What Perl programs do: hashes, regular expressions, sorting, string building.
use strict;
use warnings;

my $size = shift @ARGV;
my (%count, @lines);
my $state = 12345;
sub chance { $state = ($state * 1103515245 + 12345) % 2147483648; return $state >> 8; }

for my $i (1 .. $size) {
    my $line = join ' ', map { chr(97 + chance() % 26) . ($i * $_ % 101) } 1 .. 8;
    push @lines, $line;
    $count{$_}++ for split / /, $line;
}
my $matches = 0;
for (@lines) {
    $matches++ while /([a-m])(\d+) (?=[n-z])/g;
    s/(\d+)/$1 * 2/ge if /^a/;
    tr/a-z/b-za/;
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
my $sum = 0;
for my $line (sort @lines) { $sum = ($sum * 31 + ord(substr $line, length($line) / 2, 1)) % 1000000007; }
print "$matches $sum @top[0 .. 9]\n";
