// The shortest complete program: append to a stream, close it, read it back.
// Usage: 01_append_and_read CONNINFO
#include <rill/rill.hpp>

#include <exception>
#include <iostream>

int main(int argc, char **argv) {
    try {
        rill::Client client(argc > 1 ? argv[1] : "");
        const std::string stream = "example-01";

        client.append(stream, "hello");
        client.append(stream, "world");
        client.close_stream(stream);

        auto reader = client.read(stream, rill::from_start());
        while (const auto chunk = reader.next())
            std::cout << chunk->id << ' ' << chunk->text() << '\n';
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << "example: " << error.what() << '\n';  // a second run reports that the stream is closed
        return 1;
    }
}
