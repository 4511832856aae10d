// Executes the program that its argument names under a filter that allows everything, and says why that failed; without
// one, or with "limits" (in a script), says its limits.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void say(const char* name, int resource) {
    struct rlimit l;
    getrlimit(resource, &l);
    rlim_t all[2] = {l.rlim_cur, l.rlim_max};
    printf("%s", name);
    for (int n = 0; n < 2; n++)
        if (all[n] == RLIM_INFINITY)
            printf(" unlimited");
        else
            printf(" %lu", (unsigned long)all[n]);
}

int main(int argc, char** argv) {
    if (argc == 1 || !strcmp(argv[1], "limits")) {
        say("addresses", RLIMIT_AS);
        say(", data", RLIMIT_DATA);
        printf("\n");
        return 0;
    }
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 1;
    execl(argv[1], argv[1], (char*)NULL);
    printf("%s\n", strerror(errno));
    return 0;
}
