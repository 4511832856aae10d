// Calls of Arm's "Semihosting for AArch32 and AArch64", made by the including program's host_call(); what they answer is printed.
// Which part runs is the last word of the command line that the host gives.
#include "bare.h"

static u64 host_call(u64 operation, u64 parameter);

enum {
    SYS_OPEN = 1,
    SYS_CLOSE,
    SYS_WRITEC,
    SYS_WRITE0,
    SYS_WRITE,
    SYS_READ,
    SYS_READC,
    SYS_ISERROR,
    SYS_ISTTY,
    SYS_SEEK,
    SYS_FLEN = 12,
    SYS_TMPNAM,
    SYS_REMOVE,
    SYS_RENAME,
    SYS_CLOCK,
    SYS_TIME,
    SYS_SYSTEM,
    SYS_ERRNO,
    SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO,
    SYS_EXIT = 0x18,
    SYS_SYNCCACHE,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
    SYS_TICKFREQ
};
#define APPLICATION_EXIT 0x20026
#define NOWHERE 0x7ffffff000 // no memory is there, nor a translation

static u64 length(const char* s) {
    u64 n = 0;
    while (s[n]) ++n;
    return n;
}
static int same(const char* a, const char* b) {
    while (*a && *a == *b) ++a, ++b;
    return *a == *b;
}
static u64 call(u64 operation, u64 a, u64 b, u64 c) {
    volatile u64 block[4] = {a, b, c, 0};
    return host_call(operation, (u64)block);
}
static i64 open_file(const char* name, u64 mode) { return (i64)call(SYS_OPEN, (u64)name, mode, length(name)); }
static u64 write_text(u64 file, const char* text) { return call(SYS_WRITE, file, (u64)text, length(text)); }
static u64 errno(void) { return host_call(SYS_ERRNO, 0); }
static void show(const char* what, u64 result) {
    if ((i64)result < 0)
        print("%s: -%d errno %d\n", what, -result, errno());
    else
        print("%s: %d\n", what, result);
}
static u64 read_some(u64 file, char* to, u64 bytes) {
    u64 left = call(SYS_READ, file, (u64)to, bytes);
    to[(i64)left < 0 || left > bytes ? 0 : bytes - left] = 0;
    return left;
}

static char text[256], name[64], other[64];

static void files(void) {
    show("tmpnam", call(SYS_TMPNAM, (u64)name, 1, sizeof name));
    show("tmpnam again", call(SYS_TMPNAM, (u64)other, 2, sizeof other));
    print("names differ: %d\n", (u64)!same(name, other));
    show("tmpnam, short", call(SYS_TMPNAM, (u64)text, 3, 4));
    show("open, not there", (u64)open_file(name, 0));
    i64 f = open_file(name, 4);
    print("open w: %d\n", (u64)(f > 0));
    show("istty", host_call(SYS_ISTTY, (u64)&f));
    show("write", write_text((u64)f, "one two three\n"));
    show("write nothing", call(SYS_WRITE, (u64)f, (u64)text, 0));
    show("flen", host_call(SYS_FLEN, (u64)&f));
    show("read of one that is written", read_some((u64)f, text, 4));
    show("close", host_call(SYS_CLOSE, (u64)&f));
    show("close again", host_call(SYS_CLOSE, (u64)&f));
    show("write, closed", write_text((u64)f, "x"));
    f = open_file(name, 8);
    show("append", write_text((u64)f, "four\n"));
    host_call(SYS_CLOSE, (u64)&f);
    f = open_file(name, 3);
    show("read all", read_some((u64)f, text, 200));
    print("it is: %s", text);
    show("seek", call(SYS_SEEK, (u64)f, 4, 0));
    show("read some", read_some((u64)f, text, 3));
    print("it is: %s\n", text);
    show("write inside", write_text((u64)f, "/"));
    show("seek behind", call(SYS_SEEK, (u64)f, 1000, 0));
    show("read behind", read_some((u64)f, text, 10));
    call(SYS_SEEK, (u64)f, 0, 0);
    read_some((u64)f, text, 200);
    print("it is: %s", text);
    host_call(SYS_CLOSE, (u64)&f);
    show("rename", call(SYS_RENAME, (u64)name, length(name), (u64)other));
    volatile u64 rename[4] = {(u64)name, length(name), (u64)other, length(other)};
    show("rename", host_call(SYS_RENAME, (u64)rename));
    show("rename again", host_call(SYS_RENAME, (u64)rename));
    show("remove, not there", call(SYS_REMOVE, (u64)name, length(name), 0));
    show("remove", call(SYS_REMOVE, (u64)other, length(other), 0));
    show("remove again", call(SYS_REMOVE, (u64)other, length(other), 0));
}

static void features(void) {
    i64 f = open_file(":semihosting-features", 0);
    print("open: %d\n", (u64)(f > 0));
    show("istty", host_call(SYS_ISTTY, (u64)&f));
    show("flen", host_call(SYS_FLEN, (u64)&f));
    u64 left = read_some((u64)f, text, 16);
    print("left %d:", left);
    for (u64 n = 0; n < 16 - left; ++n) print(" %x", (u64)(u8)text[n]);
    print("\n");
    show("seek", call(SYS_SEEK, (u64)f, 2, 0));
    show("read", read_some((u64)f, text, 2));
    print("it is: %s\n", text);
    show("seek behind", call(SYS_SEEK, (u64)f, 100, 0));
    show("write", write_text((u64)f, "x"));
    show("close", host_call(SYS_CLOSE, (u64)&f));
    show("open w", (u64)open_file(":semihosting-features", 4));
}

static void wrong(void) {
    show("iserror 0", call(SYS_ISERROR, 0, 0, 0));
    show("iserror 5", call(SYS_ISERROR, 5, 0, 0));
    show("iserror -1", call(SYS_ISERROR, ~0ul, 0, 0));
    show("no block", host_call(SYS_OPEN, NOWHERE));
    show("no name", call(SYS_OPEN, NOWHERE, 0, 4));
    show("length", call(SYS_OPEN, (u64)name, 0, 2));
    show("mode", (u64)open_file("x", 12));
    show("no file", call(SYS_READ, 77, (u64)text, 4));
    show("flen of none", call(SYS_FLEN, 77, 0, 0));
    show("istty of none", call(SYS_ISTTY, 77, 0, 0));
    show("seek of none", call(SYS_SEEK, 77, 0, 0));
    i64 f = open_file(":semihosting-features", 1);
    show("read to nowhere", call(SYS_READ, (u64)f, NOWHERE, 4));
    host_call(SYS_CLOSE, (u64)&f);
    call(SYS_TMPNAM, (u64)name, 9, sizeof name);
    f = open_file(name, 6);
    show("write from nowhere", call(SYS_WRITE, (u64)f, NOWHERE, 4));
    host_call(SYS_CLOSE, (u64)&f);
    call(SYS_REMOVE, (u64)name, length(name), 0);
    volatile u64 line[2] = {(u64)text, 3};
    show("command line, short", host_call(SYS_GET_CMDLINE, (u64)line));
}

static void rest(void) {
    volatile u64 heap[4], at = (u64)heap;
    show("heap", host_call(SYS_HEAPINFO, (u64)&at));
    print("heap below its end: %d, stack below its base: %d\n", (u64)(heap[0] < heap[1]), (u64)(heap[3] <= heap[2]));
    print("clock counts: %d\n", (u64)(host_call(SYS_CLOCK, 0) < 100000));
    print("time is later than 2020: %d\n", (u64)(host_call(SYS_TIME, 0) > 1577836800));
    volatile u64 a[2] = {0, 0}, b[2] = {0, 0};
    show("elapsed", host_call(SYS_ELAPSED, (u64)a));
    host_call(SYS_ELAPSED, (u64)b);
    print("ticks go on: %d\n", (u64)(b[0] > a[0]));
    show("tickfreq", host_call(SYS_TICKFREQ, 0));
    show("system", call(SYS_SYSTEM, (u64) "exit 3", 6, 0));
    show("synccache", call(SYS_SYNCCACHE, (u64)text, sizeof text, 0));
}

static void terminal(void) {
    i64 in = open_file(":tt", 0), out = open_file(":tt", 4), err = open_file(":tt", 8);
    print("open: %d %d %d\n", (u64)(in > 0), (u64)(out > 0), (u64)(err > 0));
    print("istty: %d %d\n", host_call(SYS_ISTTY, (u64)&in), host_call(SYS_ISTTY, (u64)&out));
    show("flen", host_call(SYS_FLEN, (u64)&out));
    show("seek", call(SYS_SEEK, (u64)out, 0, 0));
    host_call(SYS_WRITE0, (u64) "write0\n");
    host_call(SYS_WRITEC, (u64) "c\n");
    host_call(SYS_WRITEC, (u64) "\n");
    show("write", write_text((u64)out, "write\n"));
    show("write to the other", write_text((u64)err, "error\n"));
    show("close", host_call(SYS_CLOSE, (u64)&err));
}

static void input(void) {
    i64 in = open_file(":tt", 0);
    print("readc: %d\n", host_call(SYS_READC, 0));
    u64 left = read_some((u64)in, text, 5);
    print("left %d: %s\n", left, text);
}

int main(void) {
    volatile u64 line[2] = {(u64)text, sizeof text};
    u64 status = host_call(SYS_GET_CMDLINE, (u64)line);
    print("command line: %d, %d bytes: %s\n", status, line[1], text);
    const char* part = text;
    for (const char* s = text; *s; ++s)
        if (*s == ' ') part = s + 1;
    if (same(part, "all")) {
        files();
        features();
        wrong();
        rest();
    }
    if (same(part, "terminal")) terminal();
    if (same(part, "input")) input();
    if (same(part, "exit")) call(SYS_EXIT, APPLICATION_EXIT, 7, 0);
    if (same(part, "exit-other")) call(SYS_EXIT, 0x20023, 7, 0);
    if (same(part, "exit-extended")) call(SYS_EXIT_EXTENDED, APPLICATION_EXIT, 300 + 5, 0);
    if (same(part, "exit-extended-other")) call(SYS_EXIT_EXTENDED, 0x20023, 7, 0);
    if (same(part, "user")) user();
    call(SYS_EXIT_EXTENDED, APPLICATION_EXIT, 0, 0);
    return 0;
}
