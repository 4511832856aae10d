// Sockets without a network: pairs, a local stream server, messages with descriptors, epoll, select, UDP on loopback.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int send_descriptor(int to, int descriptor) {
    char byte = 'd', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    return (int)sendmsg(to, &message, 0);
}

static int receive_descriptor(int from) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int descriptor = -1;
    if (recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

int main(void) {
    int pair[2], ends[2];
    char text[64] = "";
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(ends)) return 1;
    if (fork() == 0) {
        int got = receive_descriptor(pair[1]);
        _exit(write(got, "through a passed descriptor", 27) == 27 ? 0 : 1);
    }
    printf("%d", send_descriptor(pair[0], ends[1]));
    int status;
    wait(&status);
    ssize_t n = read(ends[0], text, sizeof text);
    printf(" %d %zd %s\n", status, n, text);

    int epoll = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN, {.u64 = 0x1122334455667788}}, event[4];
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &wanted);
    printf("%d", epoll_wait(epoll, event, 4, 0));
    if (write(pair[1], "x", 1) != 1) return 1;
    int ready = epoll_wait(epoll, event, 4, -1);
    printf(" %d %llx %x\n", ready, (unsigned long long)event[0].data.u64, event[0].events);
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(pair[0], &readable);
    struct timeval none = {0, 0};
    ready = select(pair[0] + 1, &readable, 0, 0, &none);
    printf("%d %d\n", ready, FD_ISSET(pair[0], &readable) != 0);

    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), type = 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "mimic-sockets-%d", getpid());
    socklen_t length = sizeof address;
    printf("%d", bind(server, (struct sockaddr*)&address, length));
    printf(" %d\n", listen(server, 1));
    if (fork() == 0) {
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(client, (struct sockaddr*)&address, length) || send(client, "hello", 5, 0) != 5);
    }
    int connection = accept4(server, 0, 0, SOCK_CLOEXEC);
    memset(text, 0, sizeof text);
    n = recv(connection, text, sizeof text, MSG_WAITALL);
    printf("%zd %s", n, text);
    wait(&status);
    length = sizeof type;
    printf(" %d %d\n", status, getsockopt(connection, SOL_SOCKET, SO_TYPE, &type, &length));
    printf("%d\n", type == SOCK_STREAM);

    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
    length = sizeof self;
    if (bind(udp, (struct sockaddr*)&self, length) || getsockname(udp, (struct sockaddr*)&self, &length)) return 1;
    printf("%zd", sendto(udp, "packet", 6, 0, (struct sockaddr*)&self, length));
    memset(text, 0, sizeof text);
    length = sizeof from;
    n = recvfrom(udp, text, sizeof text, 0, (struct sockaddr*)&from, &length);
    printf(" %zd %s %d %s\n", n, text, from.sin_port == self.sin_port, inet_ntoa(from.sin_addr));
    fcntl(udp, F_SETFL, O_NONBLOCK);
    ssize_t nothing = recv(udp, text, 1, 0);
    printf("%zd %s\n", nothing, strerrorname_np(errno));
    return 0;
}
