/* The limit: a relay of TCP connections on epoll, which moves bytes and knows nothing of WebSocket and TLS.
 *
 * tcp_relay PORT UPSTREAM_PORT, both on 127.0.0.1. Each accepted connection gets one to the upstream. What a peer does
 * not take yet is kept in a buffer; while there is something in it, its source is not read. One process, one thread.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 65536, EVENTS = 256 };

struct end {
    int fd;
    struct end *peer;
    char *waiting; /* BUFFER bytes for this end, while `length` of them could not be sent */
    size_t start, length;
    struct end *next_dead;
};

static int epoll;
static struct end *dead; /* closed while events are handled, of which some may still name them */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in address(int port) {
    struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    found.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return found;
}

static void watch(struct end *end, int operation) {
    struct epoll_event event = {.data.ptr = end};
    if (!end->peer->length) event.events |= EPOLLIN; /* nothing waits for the peer */
    if (end->length) event.events |= EPOLLOUT;
    if (epoll_ctl(epoll, operation, end->fd, &event) < 0) fail("epoll_ctl");
}

static void finish(struct end *end) {
    struct end *both[] = {end, end->peer};
    for (int which = 0; which < 2; which++) {
        close(both[which]->fd);
        both[which]->fd = -1;
        both[which]->next_dead = dead;
        dead = both[which];
    }
}

static void bury(void) {
    while (dead) {
        struct end *end = dead;
        dead = end->next_dead;
        free(end->waiting);
        free(end);
    }
}

static struct end *make_end(int fd) {
    struct end *end = calloc(1, sizeof *end);
    if (!end || !(end->waiting = malloc(BUFFER))) fail("malloc");
    end->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return end;
}

static void accept_one(int listener, int upstream_port) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (client < 0) return;
    struct sockaddr_in to = address(upstream_port);
    int upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (upstream < 0) fail("socket");
    if (connect(upstream, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
    struct end *one = make_end(client), *other = make_end(upstream);
    one->peer = other;
    other->peer = one;
    watch(one, EPOLL_CTL_ADD);
    watch(other, EPOLL_CTL_ADD);
}

/* Sends what waits for this end; returns -1 if the connection is broken. */
static int flush(struct end *end) {
    ssize_t sent = send(end->fd, end->waiting + end->start, end->length, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
    end->start += (size_t)sent;
    end->length -= (size_t)sent;
    return 0;
}

static void handle(struct end *end, uint32_t events) {
    if (end->fd < 0) return;
    if (events & EPOLLOUT) {
        if (flush(end) < 0) return finish(end);
        if (!end->length) {
            watch(end, EPOLL_CTL_MOD);
            watch(end->peer, EPOLL_CTL_MOD);
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        struct end *peer = end->peer;
        if (peer->length) return;
        ssize_t got = recv(end->fd, peer->waiting, BUFFER, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return finish(end);
        peer->start = 0;
        peer->length = (size_t)got;
        if (flush(peer) < 0) return finish(end);
        if (peer->length) {
            watch(end, EPOLL_CTL_MOD);
            watch(peer, EPOLL_CTL_MOD);
        }
    }
}

int main(int count, char **given) {
    if (count != 3) return fprintf(stderr, "usage: tcp_relay PORT UPSTREAM_PORT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in at = address(atoi(given[1]));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 2048) < 0) fail("listen");
    if ((epoll = epoll_create1(0)) < 0) fail("epoll_create1");
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening) < 0) fail("epoll_ctl");
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int which = 0; which < ready; which++) {
            if (events[which].data.ptr) handle(events[which].data.ptr, events[which].events);
            else accept_one(listener, atoi(given[2]));
        }
        bury();
    }
}
