// fork, exec of itself, pipes, redirection, exit statuses, waiting, process groups, environment of a child.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int child_main(char** argv) {
    char line[64] = "";
    if (fgets(line, sizeof line, stdin)) line[strcspn(line, "\n")] = 0;
    printf("child %s read '%s', VALUE=%s\n", argv[2], line, getenv("VALUE") ? getenv("VALUE") : "-");
    return atoi(argv[2]);
}

int main(int argc, char** argv) {
    if (argc == 3 && strcmp(argv[1], "child") == 0) return child_main(argv);
    int status, shared = 1;
    for (int i = 0; i < 3; i++) {
        int to[2], from[2];
        if (pipe(to) || pipe2(from, O_CLOEXEC)) return 1;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            char number[8];
            shared += 10;
            snprintf(number, sizeof number, "%d", i + 40);
            dup2(to[0], 0), dup2(from[1], 1);
            close(to[1]), close(to[0]);
            char* arguments[] = {argv[0], "child", number, 0};
            char* environment[] = {"VALUE=given", 0};
            execve("/proc/self/exe", arguments, i == 1 ? environ : environment);
            _exit(99);
        }
        close(to[0]), close(from[1]);
        if (write(to[1], "line for the child\n", 19) != 19) return 1;
        close(to[1]);
        char text[256];
        ssize_t n, length = 0;
        while ((n = read(from[0], text + length, sizeof text - 1 - (size_t)length)) > 0) length += n;
        text[length] = 0;
        close(from[0]);
        waitpid(child, &status, 0);
        printf("%sstatus %d, shared %d\n", text, WIFEXITED(status) ? WEXITSTATUS(status) : -1, shared);
    }
    char* arguments[] = {argv[0], "child", "5", 0};
    pid_t spawned;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    fflush(stdout);
    if (posix_spawn(&spawned, "/proc/self/exe", &actions, 0, arguments, environ)) return 1;
    waitpid(spawned, &status, 0);
    printf("spawned: %d\n", WEXITSTATUS(status));
    execl("/no/such/program", "program", (char*)0);
    printf("exec of nothing: %m\n");
    printf("%d %d\n", getppid() > 0, waitpid(-1, &status, WNOHANG));
    return 3;
}
