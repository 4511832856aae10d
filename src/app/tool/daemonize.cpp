#include "app/tool/daemonize.hpp"
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::tool {

Result<std::unique_ptr<Background>> Background::begin(std::string_view option) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return Error::from_errno(errno, "{}: pipe", option);
    pid_t child = fork();
    if (child < 0) return Error::from_errno(errno, "{}: fork", option);
    if (child > 0) {
        close(fds[1]);
        char byte = 0;
        ssize_t n;
        do n = read(fds[0], &byte, 1);
        while (n < 0 && errno == EINTR);
        if (n == 1) _exit(0);
        int status = 0;
        waitpid(child, &status, 0);
        _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
    }
    close(fds[0]);
    setsid();
    return std::unique_ptr<Background>(new Background(fds[1]));
}

Background::~Background() {
    if (fd_ >= 0) close(fd_);
}

void Background::ready() {
    if (fd_ < 0) return;
    std::fflush(nullptr);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
    if (null > 2) close(null);
    char byte = 0;
    if (write(fd_, &byte, 1) != 1) {} // the parent is gone: nobody waits
    close(fd_);
    fd_ = -1;
}

} // namespace mimic::tool
