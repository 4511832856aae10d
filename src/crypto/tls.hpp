// TLS: credentials (`--object tls-creds-x509,...`) and sessions that turn plain text into records and back. A session does no
// I/O: what it wants to send lies in pending(), what has come is given to it with put(). The library is behind a module.
#pragma once
#include "base/json.hpp"
#include "base/module.hpp"
#include <memory>
#include <span>

namespace mimic::tls {

enum class Endpoint : u8 { server, client };

class Session {
public:
    virtual ~Session() = default;
    enum class State : u8 {
        done,
        wants_input, // put() more, then ask again
        ended,       // the peer has said good-bye
        failed,      // error() tells
    };
    // Until `done`. `failed` if the peer is not who it should be.
    virtual State handshake() = 0;
    // At most a record's plain text each; `got` and `took` say how much.
    virtual State read(std::span<u8> plain, size_t& got) = 0;
    virtual State write(std::span<const u8> plain, size_t& took) = 0;
    // Says that no more comes.
    virtual void finish() = 0;

    virtual void put(std::span<const u8> records) = 0;
    // The stream below has ended.
    virtual void put_end() = 0;
    virtual std::span<const u8> pending() const = 0;
    virtual void sent(size_t bytes) = 0;
    virtual const std::string& error() const = 0;
    // The peer's distinguished name (RFC 4514, but in the certificate's own order); empty: it showed no certificate.
    virtual std::string peer() const = 0;
};

class Credentials {
public:
    virtual ~Credentials() = default;
    virtual Endpoint endpoint() const = 0;
    // host: what a server's certificate must be for, of clients; empty: any name.
    // Throws nothing; null with `error` if the library has no more memory.
    virtual std::unique_ptr<Session> session(const std::string& host, std::string& error) const = 0;
};

// What `--object tls-creds-KIND` says.
struct Settings {
    enum class Kind : u8 { anonymous, psk, x509 } kind = Kind::x509;
    Endpoint endpoint = Endpoint::client;
    bool verify_peer = true, sanity_check = true;
    std::string folder;   // of the files, with the names that libvirt and others use
    std::string priority; // GnuTLS's notation; empty: NORMAL
    std::string user;     // psk, of clients
    std::string password; // of the private key
};

// src/modules/tls.cpp
struct Module {
    static constexpr std::string_view name = "tls";
    static constexpr unsigned revision = 1;
    modules::Head head;
    // Null with `error`, which names the file.
    std::unique_ptr<Credentials> (*load)(const Settings& settings, std::string& error);
};

// True of "tls-creds-x509", "tls-creds-psk", "tls-creds-anon".
bool is_credentials(std::string_view object_type);
// Credentials from the properties of such an object, "qom-type" and "id" taken away. `secret` looks a secret up by its id.
// Errors name the property.
Result<std::shared_ptr<Credentials>>
make_credentials(std::string_view object_type, const Json& properties,
                 const std::function<const std::string*(std::string_view)>& secret);

} // namespace mimic::tls
