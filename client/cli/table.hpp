// Rows under headings, for people: each column as wide as its widest value, numbers to the right. Pure.
#pragma once

#include "terminal_text.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace rill::cli {

class Table {
public:
    struct Column {
        std::string heading;
        bool right = false;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {
        for (const auto &column : columns_)
            widths_.push_back(cli::columns(column.heading));
    }

    // Values that others wrote have passed printable().
    void add(std::vector<std::string> row) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths_[i] = std::max(widths_[i], cli::columns(row[i]));
        rows_.push_back(std::move(row));
    }

    // Calls each(line) with its newline, the headings first.
    template <typename Each>
    void print(Each &&each) const {
        std::vector<std::string> headings;
        for (const auto &column : columns_)
            headings.push_back(column.heading);
        each(line(headings));
        for (const auto &row : rows_)
            each(line(row));
    }

private:
    [[nodiscard]] std::string line(const std::vector<std::string> &row) const {
        std::string out;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths_[i] - cli::columns(row[i]), ' ');
            out += columns_[i].right ? padding + row[i] : row[i] + padding;
            out += "  ";
        }
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    }

    std::vector<Column> columns_;
    std::vector<std::size_t> widths_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace rill::cli
