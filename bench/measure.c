// measure REPORT REPEAT PROGRAM ARGUMENT...
// Runs the program REPEAT times and writes one line to the file REPORT: user and system time in microseconds (the sum of
// all runs and of their children), the largest resident set in KiB, the last run's wait status. Small on purpose: a
// child's resident set counts what its parent had at the fork.
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long long microseconds(struct timeval t) { return t.tv_sec * 1000000LL + t.tv_usec; }

int main(int argc, char** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: measure REPORT REPEAT PROGRAM ARGUMENT...\n");
        return 2;
    }
    long long user = 0, system = 0;
    long resident = 0;
    int status = 0;
    for (int left = atoi(argv[2]); left > 0; left--) {
        struct rusage usage;
        pid_t child = fork();
        if (child < 0) {
            perror("measure: fork");
            return 2;
        }
        if (child == 0) {
            execv(argv[3], argv + 3);
            perror(argv[3]);
            _exit(127);
        }
        if (wait4(child, &status, 0, &usage) < 0) {
            perror("measure: wait4");
            return 2;
        }
        user += microseconds(usage.ru_utime);
        system += microseconds(usage.ru_stime);
        if (usage.ru_maxrss > resident) resident = usage.ru_maxrss;
        if (status) break;
    }
    FILE* report = fopen(argv[1], "w");
    if (!report) {
        perror(argv[1]);
        return 2;
    }
    fprintf(report, "%lld %lld %ld %d\n", user, system, resident, status);
    return fclose(report) ? 2 : 0;
}
