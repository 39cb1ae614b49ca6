// Copies the lines of a file into a stream, each once, however often this program is killed and started again, and
// whatever happens to the connection: ./05_exactly_once "dbname=app" FILE STREAM
//
// A chunk says where in the file it ends, so the last accepted chunk says where to go on.
#include <rill/rill.hpp>

#include <fstream>
#include <iostream>
#include <string>

namespace {

// Where the input continues, by the last chunk that the server has accepted from this producer.
std::streamoff resume_at(rill::Client &client, const rill::Producer &producer) {
    if (!producer.last() || !producer.last()->chunk_id)
        return 0;
    auto reader = client.read(producer.stream(), rill::after(*producer.last()->chunk_id - 1));
    const auto chunk = reader.next();
    return chunk ? std::stoll(std::string(chunk->text())) : 0;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: 05_exactly_once CONNINFO FILE STREAM\n";
        return 2;
    }
    try {
        rill::Client client{argv[1]};
        // From here on an earlier instance of this program, should one still be running, can append nothing more.
        rill::Producer producer{client, argv[3], "copy"};
        std::ifstream file(argv[2]);
        file.seekg(resume_at(client, producer));
        for (std::string line; std::getline(file, line) && !file.eof();)
            producer.append(std::to_string(static_cast<std::streamoff>(file.tellg())) + " " + line);
        std::cout << "copied up to chunk " << (producer.last() ? producer.last()->chunk_id.value_or(0) : 0) << "\n";
        return 0;
    } catch (const rill::Error &error) {
        std::cerr << error.what() << "\n";
        return error.kind() == rill::ErrorKind::fenced ? 3 : 1;
    }
}
