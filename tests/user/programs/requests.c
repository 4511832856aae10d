// Requests of ioctl whose number does not tell what their argument is, at work on interfaces of a network namespace of our
// own, and options of sockets whose value has a pointer in it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int s;
static struct ifreq r;

static int ask(const char* what, unsigned long request, void* argument) {
    errno = 0;
    int result = ioctl(s, request, argument);
    printf("%s = %d %s\n", what, result, result < 0 ? strerror(errno) : "");
    return result;
}
#define ASK(request, argument) ask(#request, request, argument)

static struct sockaddr* address(struct sockaddr* place, const char* text) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_aton(text, &in.sin_addr);
    return memcpy(place, &in, sizeof in);
}
static void show(const char* what, struct sockaddr* place) {
    printf("%s %s\n", what, inet_ntoa(((struct sockaddr_in*)place)->sin_addr));
}

static void interface(void) {
    strcpy(r.ifr_name, "lo");
    ASK(SIOCGIFFLAGS, &r);
    r.ifr_flags |= IFF_UP;
    ASK(SIOCSIFFLAGS, &r);
    r.ifr_flags = 0;
    ASK(SIOCGIFFLAGS, &r);
    printf("up %d\n", (r.ifr_flags & IFF_UP) != 0);
    r.ifr_mtu = 1500;
    ASK(SIOCSIFMTU, &r);
    r.ifr_mtu = 0;
    ASK(SIOCGIFMTU, &r);
    printf("mtu %d\n", r.ifr_mtu);
    r.ifr_qlen = 77;
    ASK(SIOCSIFTXQLEN, &r);
    r.ifr_qlen = 0;
    ASK(SIOCGIFTXQLEN, &r);
    printf("queue %d\n", r.ifr_qlen);
    address(&r.ifr_addr, "10.9.8.7");
    ASK(SIOCSIFADDR, &r);
    address(&r.ifr_netmask, "255.255.255.0");
    ASK(SIOCSIFNETMASK, &r);
    memset(&r.ifr_addr, 0, sizeof r.ifr_addr);
    ASK(SIOCGIFADDR, &r);
    show("address", &r.ifr_addr);
    ASK(SIOCGIFNETMASK, &r);
    show("mask", &r.ifr_netmask);
    ASK(SIOCGIFMAP, &r);
    ASK(SIOCSIFFLAGS, (void*)8); // nobody's
}

static void routes(void) {
    struct rtentry route = {.rt_flags = RTF_UP | RTF_HOST, .rt_dev = (char*)"lo"};
    address(&route.rt_dst, "10.1.1.1");
    ASK(SIOCADDRT, &route);
    ASK(SIOCADDRT, &route); // is there
    ASK(SIOCDELRT, &route);
    ASK(SIOCDELRT, &route); // no more
    route.rt_dev = (char*)"none";
    ASK(SIOCADDRT, &route);
    route.rt_dev = (char*)8; // nobody's
    ASK(SIOCADDRT, &route);
    ASK(SIOCADDRT, (void*)8);
    struct arpreq neighbour = {.arp_flags = ATF_COM | ATF_PERM, .arp_dev = "lo"};
    address(&neighbour.arp_pa, "10.9.8.99");
    ASK(SIOCSARP, &neighbour);
    ASK(SIOCGARP, &neighbour);
    ASK(SIOCDARP, &neighbour);
}

static void set(int fd, const char* what, int option, const void* value, socklen_t bytes) {
    errno = 0;
    int result = setsockopt(fd, SOL_SOCKET, option, value, bytes);
    printf("%s = %d %s\n", what, result, result < 0 ? strerror(errno) : "");
}
#define SET(fd, option, value, bytes) set(fd, #option, option, value, bytes)

static void filters(void) {
    // What begins with an x is dropped.
    struct sock_filter lines[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'x', 0, 1),
                                  BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 4)};
    struct sock_fprog program = {4, lines}, nowhere = {4, (struct sock_filter*)8}, empty = {0, lines};
    int pair[2], one = 1;
    char got[16] = "";
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    SET(pair[0], SO_ATTACH_FILTER, &nowhere, sizeof nowhere);
    SET(pair[0], SO_ATTACH_FILTER, &empty, sizeof empty);
    SET(pair[0], SO_ATTACH_FILTER, &program, 8);
    SET(pair[0], SO_ATTACH_FILTER, (void*)8, sizeof program);
    SET(pair[0], SO_ATTACH_FILTER, &program, sizeof program);
    write(pair[1], "xylophone", 9);
    write(pair[1], "harp and drum", 13);
    printf("%d bytes: %s\n", (int)recv(pair[0], got, sizeof got - 1, 0), got);
    SET(pair[0], SO_DETACH_FILTER, &one, sizeof one);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    SET(fd, SO_REUSEPORT, &one, sizeof one);
    printf("bound %d\n", bind(fd, (struct sockaddr*)&any, sizeof any));
    SET(fd, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
    SET(fd, SO_ATTACH_REUSEPORT_CBPF, &nowhere, sizeof nowhere);
}

int main(void) {
    printf("namespaces %d\n", unshare(CLONE_NEWUSER | CLONE_NEWNET));
    s = socket(AF_INET, SOCK_DGRAM, 0);
    if (s < 0) return 1;
    interface();
    routes();
    filters();
    return 0;
}
