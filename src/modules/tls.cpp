// TLS through GnuTLS (its manual, "Using GnuTLS as a library"). The records go through two buffers in memory.
#include "crypto/tls.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace mimic::tls {

namespace {

std::string reason(int code) { return gnutls_strerror(code); }

class Gnu final : public Session {
public:
    Gnu(gnutls_session_t session, Endpoint endpoint) : session_(session), endpoint_(endpoint) {
        gnutls_transport_set_ptr(session_, this);
        gnutls_transport_set_push_function(session_, push);
        gnutls_transport_set_pull_function(session_, pull);
        gnutls_transport_set_pull_timeout_function(session_, pull_timeout);
    }
    ~Gnu() override { gnutls_deinit(session_); }

    // Certificates: whom we talk to.
    void demand(bool verify, const std::string& host) {
        if (endpoint_ == Endpoint::server)
            gnutls_certificate_server_set_request(session_, verify ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
        bool named = endpoint_ == Endpoint::client && !host.empty();
        bool number = host.find(':') != host.npos || host.find_first_not_of("0123456789.") == host.npos;
        if (named && !number) gnutls_server_name_set(session_, GNUTLS_NAME_DNS, host.data(), host.size());
        if (!verify) return;
        // GnuTLS keeps pointers to all of this until the handshake is done.
        host_ = host;
        purpose_ = endpoint_ == Endpoint::server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
        wanted_[0] = {GNUTLS_DT_KEY_PURPOSE_OID, reinterpret_cast<unsigned char*>(purpose_.data()), 0};
        wanted_[1] = {GNUTLS_DT_DNS_HOSTNAME, reinterpret_cast<unsigned char*>(host_.data()), 0};
        gnutls_session_set_verify_cert2(session_, wanted_, named ? 2 : 1, 0);
    }

    State handshake() override {
        for (;;) {
            int code = gnutls_handshake(session_);
            if (code == GNUTLS_E_SUCCESS) return State::done;
            if (code == GNUTLS_E_AGAIN) return State::wants_input;
            if (code == GNUTLS_E_INTERRUPTED || code == GNUTLS_E_WARNING_ALERT_RECEIVED) continue;
            fail("TLS handshake", code);
            if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) error_ = untrusted();
            gnutls_alert_send_appropriate(session_, code);
            return State::failed;
        }
    }

    State read(std::span<u8> plain, size_t& got) override {
        got = 0;
        for (;;) {
            const size_t before = in_begin_;
            ssize_t n = gnutls_record_recv(session_, plain.data(), plain.size());
            if (n > 0) {
                got = size_t(n);
                return State::done;
            }
            // NBD and the like frame what they say: a peer that just goes has said all.
            if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION) return State::ended;
            // A record without data (a ticket of TLS 1.3) ends the call, too, though more may have come with it.
            if (n == GNUTLS_E_AGAIN && in_begin_ != before && in_begin_ < in_.size()) continue;
            if (n == GNUTLS_E_AGAIN) return State::wants_input;
            if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_WARNING_ALERT_RECEIVED) continue;
            return fail("TLS", int(n));
        }
    }

    State write(std::span<const u8> plain, size_t& took) override {
        took = 0;
        ssize_t n = gnutls_record_send(session_, plain.data(), plain.size());
        while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN) n = gnutls_record_send(session_, nullptr, 0);
        if (n < 0) return fail("TLS", int(n));
        took = size_t(n);
        return State::done;
    }

    void finish() override { gnutls_bye(session_, GNUTLS_SHUT_WR); }

    void put(std::span<const u8> records) override {
        if (in_begin_ == in_.size()) {
            in_.clear();
            in_begin_ = 0;
        }
        in_.insert(in_.end(), records.begin(), records.end());
    }
    void put_end() override { in_ended_ = true; }
    std::span<const u8> pending() const override { return std::span(out_).subspan(out_begin_); }
    void sent(size_t bytes) override {
        out_begin_ += bytes;
        if (out_begin_ < out_.size()) return;
        out_.clear();
        out_begin_ = 0;
    }
    const std::string& error() const override { return error_; }

    std::string peer() const override {
        unsigned count = 0;
        const gnutls_datum_t* chain = gnutls_certificate_get_peers(session_, &count);
        gnutls_x509_crt_t certificate;
        if (!chain || !count || gnutls_x509_crt_init(&certificate) < 0) return {};
        std::string name;
        gnutls_datum_t text{};
        if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
            gnutls_x509_crt_get_dn3(certificate, &text, GNUTLS_X509_DN_FLAG_COMPAT) >= 0) {
            name.assign(reinterpret_cast<char*>(text.data), text.size);
            gnutls_free(text.data);
        }
        gnutls_x509_crt_deinit(certificate);
        return name;
    }

private:
    State fail(const char* what, int code) {
        error_ = std::string(what) + " with the " + (endpoint_ == Endpoint::server ? "client" : "server") +
                 " failed: " + reason(code);
        return State::failed;
    }
    std::string untrusted() const {
        unsigned status = gnutls_session_get_verify_cert_status(session_);
        std::string text = "the peer's certificate is not trusted";
        gnutls_datum_t why{};
        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0) >= 0) {
            text += ": " + std::string(reinterpret_cast<char*>(why.data), why.size);
            gnutls_free(why.data);
        }
        while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.pop_back();
        return text;
    }

    static ssize_t push(gnutls_transport_ptr_t self, const void* data, size_t length) {
        auto& out = static_cast<Gnu*>(self)->out_;
        auto* p = static_cast<const u8*>(data);
        out.insert(out.end(), p, p + length);
        return ssize_t(length);
    }
    static ssize_t pull(gnutls_transport_ptr_t opaque, void* data, size_t length) {
        auto* self = static_cast<Gnu*>(opaque);
        size_t n = std::min(length, self->in_.size() - self->in_begin_);
        if (n == 0 && !self->in_ended_) {
            gnutls_transport_set_errno(self->session_, EAGAIN);
            return -1;
        }
        std::memcpy(data, self->in_.data() + self->in_begin_, n);
        self->in_begin_ += n;
        return ssize_t(n);
    }
    static int pull_timeout(gnutls_transport_ptr_t opaque, unsigned) {
        auto* self = static_cast<Gnu*>(opaque);
        return self->in_begin_ < self->in_.size() || self->in_ended_;
    }

    gnutls_session_t session_;
    Endpoint endpoint_;
    std::vector<u8> in_, out_;
    size_t in_begin_ = 0, out_begin_ = 0;
    bool in_ended_ = false;
    std::string error_, host_, purpose_;
    gnutls_typed_vdata_st wanted_[2];
};

class GnuCredentials final : public Credentials {
public:
    explicit GnuCredentials(Settings settings) : s_(std::move(settings)) {}
    ~GnuCredentials() override {
        if (anonymous_server_) gnutls_anon_free_server_credentials(anonymous_server_);
        if (anonymous_client_) gnutls_anon_free_client_credentials(anonymous_client_);
        if (psk_server_) gnutls_psk_free_server_credentials(psk_server_);
        if (psk_client_) gnutls_psk_free_client_credentials(psk_client_);
        if (x509_) gnutls_certificate_free_credentials(x509_);
    }
    Endpoint endpoint() const override { return s_.endpoint; }

    // False with error_.
    bool load() {
        if (gnutls_priority_t p; gnutls_priority_init(&p, priority().c_str(), nullptr) < 0)
            return fail("TLS priority '" + priority() + "' is not in GnuTLS's notation");
        else
            gnutls_priority_deinit(p);
        switch (s_.kind) {
        case Settings::Kind::anonymous: return load_anonymous();
        case Settings::Kind::psk: return server() ? load_psk_server() : load_psk_client();
        case Settings::Kind::x509: return load_x509();
        }
        return false;
    }
    const std::string& error() const { return error_; }

    std::unique_ptr<Session> session(const std::string& host, std::string& error) const override {
        gnutls_session_t made;
        int code = gnutls_init(&made, server() ? GNUTLS_SERVER : GNUTLS_CLIENT);
        if (code < 0) {
            error = "TLS: " + reason(code);
            return nullptr;
        }
        auto session = std::make_unique<Gnu>(made, s_.endpoint);
        code = gnutls_priority_set_direct(made, priority().c_str(), nullptr);
        if (code >= 0) code = equip(made);
        if (code >= 0 && s_.kind == Settings::Kind::x509) session->demand(s_.verify_peer, host);
        if (code < 0) {
            error = "TLS: " + reason(code);
            return nullptr;
        }
        return session;
    }

private:
    bool server() const { return s_.endpoint == Endpoint::server; }
    std::string priority() const {
        std::string text = s_.priority.empty() ? "NORMAL" : s_.priority;
        if (s_.kind == Settings::Kind::anonymous) text += ":+ANON-ECDH:+ANON-DH";
        if (s_.kind == Settings::Kind::psk) text += ":+ECDHE-PSK:+DHE-PSK:+PSK";
        return text;
    }
    bool fail(std::string text) {
        error_ = std::move(text);
        return false;
    }
    bool fail(const std::string& what, int code) { return fail(what + ": " + reason(code)); }
    std::string file(const char* name) const { return s_.folder + "/" + name; }
    // Empty if there is none and it need not be.
    bool find(const char* name, bool required, std::string& path) {
        path = file(name);
        if (access(path.c_str(), R_OK) == 0) return true;
        // One that is there and cannot be read may be what keeps others out.
        if (required || errno != ENOENT)
            return fail("TLS credentials: cannot read '" + path + "': " + std::strerror(errno));
        path.clear();
        return true;
    }

    bool load_anonymous() {
        if (!server()) {
            int code = gnutls_anon_allocate_client_credentials(&anonymous_client_);
            return code >= 0 || fail("TLS credentials", code);
        }
        int code = gnutls_anon_allocate_server_credentials(&anonymous_server_);
        if (code >= 0) code = gnutls_anon_set_server_known_dh_params(anonymous_server_, GNUTLS_SEC_PARAM_MEDIUM);
        return code >= 0 || fail("TLS credentials", code);
    }

    bool load_psk_server() {
        std::string keys;
        if (!find("keys.psk", true, keys)) return false;
        int code = gnutls_psk_allocate_server_credentials(&psk_server_);
        if (code >= 0) code = gnutls_psk_set_server_credentials_file(psk_server_, keys.c_str());
        if (code >= 0) code = gnutls_psk_set_server_known_dh_params(psk_server_, GNUTLS_SEC_PARAM_MEDIUM);
        return code >= 0 || fail("TLS credentials of '" + keys + "'", code);
    }

    // keys.psk has lines "USER:KEY", the key in hexadecimal, as psktool writes them.
    bool load_psk_client() {
        std::string keys, user = s_.user.empty() ? "qemu" : s_.user, line;
        if (!find("keys.psk", true, keys)) return false;
        int code = gnutls_psk_allocate_client_credentials(&psk_client_);
        if (code < 0) return fail("TLS credentials", code);
        std::ifstream in(keys);
        while (std::getline(in, line)) {
            if (!line.starts_with(user + ":")) continue;
            std::string key = line.substr(user.size() + 1);
            gnutls_datum_t datum{reinterpret_cast<unsigned char*>(key.data()), unsigned(key.size())};
            code = gnutls_psk_set_client_credentials(psk_client_, user.c_str(), &datum, GNUTLS_PSK_KEY_HEX);
            return code >= 0 || fail("TLS credentials: the key of '" + user + "' in '" + keys + "'", code);
        }
        return fail("TLS credentials: '" + keys + "' has no key for '" + user + "'");
    }

    bool load_x509() {
        std::string ca, revoked, certificate, key;
        bool needs_ca = !server() || s_.verify_peer;
        if (!find("ca-cert.pem", needs_ca, ca) || !find("ca-crl.pem", false, revoked) ||
            !find(server() ? "server-cert.pem" : "client-cert.pem", server(), certificate) ||
            !find(server() ? "server-key.pem" : "client-key.pem", !certificate.empty(), key))
            return false;
        int code = gnutls_certificate_allocate_credentials(&x509_);
        if (code < 0) return fail("TLS credentials", code);
        if (!ca.empty()) {
            code = gnutls_certificate_set_x509_trust_file(x509_, ca.c_str(), GNUTLS_X509_FMT_PEM);
            if (code <= 0) return fail("TLS credentials: no certificate in '" + ca + "'");
        }
        if (!revoked.empty()) {
            code = gnutls_certificate_set_x509_crl_file(x509_, revoked.c_str(), GNUTLS_X509_FMT_PEM);
            if (code < 0) return fail("TLS credentials: '" + revoked + "'", code);
        }
        if (s_.sanity_check && !sane(ca, certificate)) return false;
        if (!certificate.empty()) {
            code = gnutls_certificate_set_x509_key_file2(x509_, certificate.c_str(), key.c_str(), GNUTLS_X509_FMT_PEM,
                                                         s_.password.empty() ? nullptr : s_.password.c_str(), 0);
            if (code < 0) return fail("TLS credentials: '" + certificate + "' with '" + key + "'", code);
        }
        gnutls_certificate_set_known_dh_params(x509_, GNUTLS_SEC_PARAM_MEDIUM);
        return true;
    }

    using Certificates = std::vector<gnutls_x509_crt_t>;
    static void release(Certificates& all) {
        for (auto c : all) gnutls_x509_crt_deinit(c);
        all.clear();
    }
    bool read(const std::string& path, Certificates& all) {
        gnutls_datum_t bytes{};
        int code = gnutls_load_file(path.c_str(), &bytes);
        if (code < 0) return fail("TLS credentials: '" + path + "'", code);
        gnutls_x509_crt_t* list = nullptr;
        unsigned count = 0;
        code = gnutls_x509_crt_list_import2(&list, &count, &bytes, GNUTLS_X509_FMT_PEM, 0);
        gnutls_free(bytes.data);
        if (code < 0) return fail("TLS credentials: '" + path + "'", code);
        all.assign(list, list + count);
        gnutls_free(list);
        return true;
    }

    // What would make every handshake fail is said at once: dates, a CA that is none, a certificate that the CA did not sign.
    bool sane(const std::string& ca, const std::string& certificate) {
        Certificates authorities, ours;
        bool ok = (ca.empty() || read(ca, authorities)) && (certificate.empty() || read(certificate, ours));
        for (auto c : authorities) {
            if (ok) ok = in_time(c, ca);
            if (ok && gnutls_x509_crt_get_ca_status(c, nullptr) == 0)
                ok = fail("TLS credentials: a certificate in '" + ca + "' may not sign others (no CA)");
        }
        if (ok && !ours.empty()) ok = in_time(ours[0], certificate);
        if (ok && !ours.empty() && !authorities.empty()) {
            unsigned status = 0;
            int code = gnutls_x509_crt_list_verify(ours.data(), unsigned(ours.size()), authorities.data(),
                                                   unsigned(authorities.size()), nullptr, 0, 0, &status);
            if (code < 0 || status)
                ok = fail("TLS credentials: '" + certificate + "' is not signed by the CA in '" + ca + "'");
        }
        release(authorities);
        release(ours);
        return ok;
    }
    bool in_time(gnutls_x509_crt_t c, const std::string& path) {
        time_t now = time(nullptr);
        if (gnutls_x509_crt_get_expiration_time(c) < now)
            return fail("TLS credentials: the certificate in '" + path + "' has expired");
        if (gnutls_x509_crt_get_activation_time(c) > now)
            return fail("TLS credentials: the certificate in '" + path + "' is not valid yet");
        return true;
    }

    int equip(gnutls_session_t session) const {
        switch (s_.kind) {
        case Settings::Kind::anonymous:
            return gnutls_credentials_set(session, GNUTLS_CRD_ANON,
                                          server() ? static_cast<void*>(anonymous_server_) : anonymous_client_);
        case Settings::Kind::psk:
            return gnutls_credentials_set(session, GNUTLS_CRD_PSK,
                                          server() ? static_cast<void*>(psk_server_) : psk_client_);
        case Settings::Kind::x509: return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, x509_);
        }
        return GNUTLS_E_INTERNAL_ERROR;
    }

    Settings s_;
    std::string error_;
    gnutls_anon_server_credentials_t anonymous_server_ = nullptr;
    gnutls_anon_client_credentials_t anonymous_client_ = nullptr;
    gnutls_psk_server_credentials_t psk_server_ = nullptr;
    gnutls_psk_client_credentials_t psk_client_ = nullptr;
    gnutls_certificate_credentials_t x509_ = nullptr;
};

std::unique_ptr<Credentials> load(const Settings& settings, std::string& error) {
    auto made = std::make_unique<GnuCredentials>(settings);
    if (made->load()) return made;
    error = made->error();
    return nullptr;
}

} // namespace

} // namespace mimic::tls

extern "C" __attribute__((visibility("default"))) const mimic::tls::Module mimic_module;
const mimic::tls::Module mimic_module = {
    .head = {"tls", mimic::tls::Module::revision, "GnuTLS " GNUTLS_VERSION " (LGPL-2.1+)"},
    .load = mimic::tls::load,
};
