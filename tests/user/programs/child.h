// What the programs that try what ends a process share.
#pragma once
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Calls f in a child, and says how that ended.
static void in_child(const char* what, void (*f)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        f();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    printf("%s: status %x\n", what, status);
}
