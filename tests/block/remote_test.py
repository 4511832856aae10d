#!/usr/bin/env python3
"""Images behind http, https, ftp and ssh: nginx and OpenSSH on loopback, qemu-img beside us where it has the protocol.

usage: remote_test.py MIMIC [NAME...]     (exit 77: one of the servers is not there)
"""
import base64, contextlib, functools, hashlib, http.server, os, random, shutil, signal, socket, socketserver, subprocess, sys, threading

import harness
from harness import MIMIC, run_tests

run = functools.partial(harness.run, text=True)
img = functools.partial(harness.img, text=True)
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
missing = [p for p in ("nginx", "sshd", "ssh-agent", "ssh-keygen", "certtool", "qemu-img") if not shutil.which(p, path=PATH)]
if missing:
    print(f"not installed: {' '.join(missing)} (packages nginx-light, openssh-server, gnutls-bin, qemu-utils)")
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(port, process):
    while True:
        assert process.poll() is None, process.communicate()
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        os.sched_yield()


def sample(path, size, seed=1):
    rng = random.Random(seed)
    with open(path, "wb") as f:
        for at in range(0, size, 65536):
            n = min(65536, size - at)
            f.write(rng.randbytes(n) if rng.randrange(3) else bytes(n))


def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


@contextlib.contextmanager
def nginx():
    """Serves files/ on two ports, the second with TLS; /private/ wants a user, /cookie/ a cookie, /whole/ ignores ranges."""
    plain, secure = free_port(), free_port()
    here = os.getcwd()
    os.makedirs("files", exist_ok=True)
    open("t", "w").write('cn = "localhost"\nexpiration_days = 2\ndns_name = "localhost"\ntls_www_server\nsigning_key\n')
    run("certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", "key.pem")
    run("certtool", "--generate-self-signed", "--load-privkey", "key.pem", "--template", "t", "--outfile", "cert.pem")
    open("users", "w").write("ann:{PLAIN}secret word\n")
    user = "user root;" if os.getuid() == 0 else ""
    open("conf", "w").write(f"""
{user}
daemon off; worker_processes 1; pid {here}/pid; error_log {here}/log;
events {{}}
http {{
  access_log {here}/access; client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} ssl;
    ssl_certificate {here}/cert.pem; ssl_certificate_key {here}/key.pem;
    root {here}/files;
    location /private/ {{ alias {here}/files/; auth_basic "x"; auth_basic_user_file {here}/users; }}
    location /cookie/ {{ alias {here}/files/; if ($cookie_pass != "42") {{ return 403; }} }}
    location /whole/ {{ alias {here}/files/; max_ranges 0; }}
    location /moved/ {{ rewrite ^/moved/(.*) http://127.0.0.1:{plain}/$1 redirect; }}
  }}
}}""")
    process = subprocess.Popen([shutil.which("nginx", path=PATH), "-p", here, "-c", f"{here}/conf", "-e", f"{here}/log"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        reachable(plain, process)
        yield plain, secure
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def sshd():
    """A server that lets our own user in with a key that an agent has."""
    port, here = free_port(), os.getcwd()
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
    os.chmod("host", 0o600)
    shutil.copy("user.pub", "keys")
    open("sshd_conf", "w").write(f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {here}/host
AuthorizedKeysFile {here}/keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
PidFile {here}/sshd_pid
Subsystem sftp internal-sftp
""")
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", f"{here}/agent"], stdout=subprocess.DEVNULL)
    server = subprocess.Popen([shutil.which("sshd", path=PATH), "-D", "-e", "-f", f"{here}/sshd_conf"],
                              stdout=subprocess.DEVNULL, stderr=open("sshd_log", "w"))
    try:
        reachable(port, server)
        while not os.path.exists("agent"):
            os.sched_yield()
        env = {"SSH_AUTH_SOCK": f"{here}/agent"}
        run("ssh-add", "-q", "user", env=env)
        shown = run("ssh-keygen", "-l", "-E", "md5", "-f", "host.pub").stdout.split()[1].removeprefix("MD5:")
        yield port, shown, env
    finally:
        for p in (server, agent):
            p.terminate()
            p.wait()


def sessions():
    """The processes that serve a client of sshd()."""
    parents = {}
    for folder in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if folder.isdigit():
                parents[int(folder)] = int(open(f"/proc/{folder}/stat").read().rsplit(")", 1)[1].split()[1])
    of, found = {int(open("sshd_pid").read())}, set()
    while more := {pid for pid, parent in parents.items() if parent in of} - found:
        found |= more
        of = more
    return found


TESTS = []


class Ftp(socketserver.StreamRequestHandler):
    """One client of an FTP server (RFC 959, RFC 2428's EPSV) that shows the folder files/ to user ann."""

    def handle(self):
        self.offset, self.data = 0, None
        self.say("220 here")
        for line in iter(self.rfile.readline, b""):
            word, _, rest = line.decode().strip().partition(" ")
            method = getattr(self, "do_" + word.upper(), None)
            if word.upper() == "QUIT":
                return self.say("221 bye")
            method(rest) if method else self.say("502 not here")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def path(self, name):
        return os.path.join(self.server.folder, os.path.basename(name))

    def do_USER(self, name):
        self.user = name
        self.say("331 and the password?")

    def do_PASS(self, word):
        self.say("230 come in" if (self.user, word) == ("ann", "secret word") else "530 no")

    def do_PWD(self, _):
        self.say('257 "/"')

    def do_TYPE(self, _):
        self.say("200 all bytes are bytes")

    def do_CWD(self, _):
        self.say("250 the same folder")

    def do_EPSV(self, _):
        self.data = socket.create_server(("127.0.0.1", 0))
        self.say(f"229 at (|||{self.data.getsockname()[1]}|)")

    def do_SIZE(self, name):
        there = os.path.exists(self.path(name))
        self.say(f"213 {os.path.getsize(self.path(name))}" if there else "550 not there")

    def do_REST(self, offset):
        self.offset = int(offset)
        self.say("350 from there")

    def do_RETR(self, name):
        if not os.path.exists(self.path(name)):
            return self.say("550 not there")
        self.say("150 it comes")
        connection, _ = self.data.accept()
        with connection, open(self.path(name), "rb") as f, contextlib.suppress(OSError):
            f.seek(self.offset)
            left = self.server.most
            while left and (piece := f.read(min(left, 65536))):
                connection.sendall(piece)
                left -= len(piece)
        self.data.close()
        self.offset = 0
        self.say("226 that was it")


class Short(http.server.BaseHTTPRequestHandler):
    """An HTTP server that says that it has a million bytes, and ends each answer in its middle."""
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", "1000000")
        self.end_headers()

    def do_GET(self):
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/1000000")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(bytes((last + 1 - first) // 2))
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """The server, in a thread of its own; `most` is how many bytes it sends of a file."""
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
    with Server(("127.0.0.1", 0), handler) as server:
        server.folder, server.most = os.path.abspath("files"), 1 << 60
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test(f):
    TESTS.append(f)
    return f


@test
def web():
    with nginx() as (plain, secure):
        sample("files/a.raw", 5_000_192)
        img("convert", "-f", "raw", "-O", "qcow2", "files/a.raw", "files/a.qcow2")
        want = digest("files/a.raw")
        for url, fmt in ((f"http://127.0.0.1:{plain}/a.raw", "raw"), (f"http://127.0.0.1:{plain}/a.qcow2", "qcow2"),
                         (f"http://127.0.0.1:{plain}/moved/a.raw", "raw")):
            img("convert", "-f", fmt, "-O", "raw", url, "b.raw")
            assert digest("b.raw") == want, url
        assert "virtual size: 4.77 MiB (5000192 bytes)" in img("info", f"http://127.0.0.1:{plain}/a.qcow2").stdout
        # An overlay on it, and small reads that share segments.
        img("create", "-q", "-f", "qcow2", "-b", f"http://127.0.0.1:{plain}/a.raw", "-F", "raw", "o.qcow2")
        run(MIMIC, "io", "-f", "qcow2", "-c", "write -P 7 65536 65536", "o.qcow2")
        img("convert", "-f", "qcow2", "-O", "raw", "o.qcow2", "b.raw")
        data = bytearray(open("files/a.raw", "rb").read())
        data[65536:131072] = b"\7" * 65536
        assert open("b.raw", "rb").read() == data
        before = open("access").read().count("GET")
        run(MIMIC, "io", "-r", "--image-opts", *[x for i in range(64) for x in ("-c", f"read {i * 4}k 4k")],
            f"driver=http,url=http://127.0.0.1:{plain}/a.raw,readahead=128k")
        assert open("access").read().count("GET") - before <= 4, open("access").read()
        # TLS: a certificate that nobody vouches for is refused unless the user says so.
        bad = f"driver=https,url=https://localhost:{secure}/a.raw"
        assert "certificate" in img("convert", "--image-opts", "-O", "raw", bad, "b.raw", ok=(1,)).stderr
        img("convert", "--image-opts", "-O", "raw", bad + ",sslverify=off", "b.raw")
        assert digest("b.raw") == want
        # Users, cookies.
        private = f"driver=http,url=http://127.0.0.1:{plain}/private/a.raw"
        assert "401" in img("info", "--image-opts", private, ok=(1,)).stderr
        img("info", "--object", "secret,id=p,data=secret word", "--image-opts", private + ",username=ann,password-secret=p")
        cookie = f"driver=http,url=http://127.0.0.1:{plain}/cookie/a.raw"
        assert "403" in img("info", "--image-opts", cookie, ok=(1,)).stderr
        img("info", "--image-opts", cookie + ",cookie=pass=42")
        # What cannot work says why.
        for words, said in (((f"http://127.0.0.1:{plain}/none",), "404"),
                            ((f"http://127.0.0.1:{plain}/whole/a.raw",), "ranges"),
                            ((f"http://127.0.0.1:{free_port()}/a",), "onnect"),
                            (("--image-opts", f"driver=http,url=ftp://127.0.0.1:{plain}/a.raw"), "does not start with 'http://'"),
                            (("--image-opts", f"driver=http,url=http://127.0.0.1:{plain}/a.raw,readahead=100"), "multiple of 512"),
                            (("--image-opts", f"driver=http,url=http://127.0.0.1:{plain}/a.raw,password-secret=x"), "No secret"),
                            (("--image-opts", "driver=http"), "requires a 'url'")):
            p = img("info", *words, ok=(1,))
            assert said in p.stderr, (words, p.stderr)
        p = run(MIMIC, "io", "-f", "raw", "-c", "write 0 4k", f"http://127.0.0.1:{plain}/a.raw", ok=(1,))
        assert "read-only" in p.stderr, p.stderr


@test
def files_over_ftp():
    os.mkdir("files")
    sample("files/a.raw", 1_000_448)
    with serving(Ftp) as server:
        url = f"ftp://127.0.0.1:{server.server_address[1]}/a.raw"
        who = ("--object", "secret,id=p,data=secret word", "--image-opts")
        disk = f"driver=ftp,url={url},username=ann,password-secret=p"
        img("convert", *who, "-O", "raw", disk, "b.raw")
        assert digest("b.raw") == digest("files/a.raw")
        data = open("files/a.raw", "rb").read()
        # Not from the beginning, and less than a segment.
        img("convert", *who, "-O", "raw", f"driver=raw,offset=300032,size=4096,file.{disk.replace(',', ',file.')}", "b.raw")
        assert open("b.raw", "rb").read() == data[300032:304128]
        assert "denied" in img("info", url.replace("//", "//ann:wrong@"), ok=(1,)).stderr
        p = img("info", *who, disk.replace("a.raw", "none"), ok=(1,))
        assert "none" in p.stderr and len(p.stderr.splitlines()) == 1, p.stderr
        # A transfer that ends early is an error, not zeros.
        server.most = 1000
        p = img("convert", *who, "-O", "raw", disk, "b.raw", ok=(1,))
        assert "error while reading" in p.stderr and len(p.stderr.splitlines()) == 1, p.stderr


@test
def answers_that_end_early():
    with serving(Short) as server:
        p = img("convert", "-f", "raw", "-O", "raw", f"http://127.0.0.1:{server.server_address[1]}/a", "b.raw", ok=(1,))
        assert "error while reading" in p.stderr and len(p.stderr.splitlines()) == 1, p.stderr


@test
def files_over_ssh():
    with sshd() as (port, fingerprint, env):
        here = os.getcwd()
        sample("a.raw", 3_000_320)
        want = digest("a.raw")
        def uri(name, check=f"md5:{fingerprint}"):
            return f"ssh://127.0.0.1:{port}{here}/{name}?host_key_check={check}"
        img("convert", "-f", "raw", "-O", "raw", uri("a.raw"), "b.raw", env=env)
        assert digest("b.raw") == want
        # Made, written, grown, checked there.
        img("convert", "-f", "raw", "-O", "qcow2", "a.raw", uri("c.qcow2"), env=env)
        run("qemu-img", "check", "-q", "-f", "qcow2", "c.qcow2")
        run("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", "a.raw", "c.qcow2")
        run(MIMIC, "io", "-f", "qcow2", "-c", "write -P 9 100k 300k", "-c", "flush", uri("c.qcow2"), env=env)
        run("qemu-io", "-f", "qcow2", "-c", "read -P 9 100k 300k", "c.qcow2")
        img("create", "-q", "-f", "raw", uri("d.raw"), "1M", env=env)
        assert os.path.getsize("d.raw") == 1 << 20
        img("resize", "-q", "-f", "raw", uri("d.raw"), "2M", env=env)
        assert os.path.getsize("d.raw") == 2 << 20
        sha256 = run("ssh-keygen", "-l", "-E", "sha256", "-f", "host.pub").stdout.split()[1].removeprefix("SHA256:")
        as_hex = base64.b64decode(sha256 + "=").hex()
        opts = f"driver=ssh,server.host=127.0.0.1,server.port={port},path={here}/a.raw,host-key-check.mode=hash,host-key-check.type=sha256"
        img("info", "--image-opts", f"{opts},host-key-check.hash={as_hex}", env=env)
        # A file that becomes shorter, and a server that goes, are errors: what is missing is not made up.
        for lost in ("file", "server"):
            shutil.copy("a.raw", "e.raw")
            p = subprocess.Popen([MIMIC, "io", "-f", "raw", uri("e.raw")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
            p.stdin.write("read 0 64k\n")
            p.stdin.flush()
            assert "read 65536/65536" in p.stdout.readline()
            if lost == "file":
                os.truncate("e.raw", 1_000_000)
            else:
                for pid in sessions():
                    os.kill(pid, signal.SIGKILL)
            out, err = p.communicate("read 2M 64k\nwrite 0 4k\n", timeout=60)
            assert "read failed" in out, (lost, out, err)
            assert ("write failed" in out) == (lost == "server"), (lost, out, err)
        for words, said, more in (((uri("a.raw", "yes"),), "known_hosts", env),
                                  ((uri("a.raw", "md5:" + "00" * 16),), "fingerprint", env),
                                  ((uri("a.raw", "md5:12"),), "expected 32 hexadecimal digits", env),
                                  ((uri("a.raw", "maybe"),), "maybe", env),
                                  ((uri("none"),), "no such file", env),
                                  ((uri("a.raw"),), "cannot log in", {"SSH_AUTH_SOCK": "/nowhere"}),
                                  ((f"ssh://127.0.0.1:{free_port()}/a",), "cannot connect", env),
                                  (("--image-opts", "driver=ssh,path=/a"), "No hostname", env),
                                  (("ssh://h:99999/a",), "no port", env)):
            p = img("info", "-f", "raw", *words, ok=(1,), env=more) if "--image-opts" not in words else img("info", *words, ok=(1,), env=more)
            assert said in p.stderr, (words, p.stderr)


sys.exit(run_tests(TESTS, sys.argv[2:]))
