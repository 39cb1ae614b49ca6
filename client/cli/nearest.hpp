// The known word that a mistyped one probably means. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rill::cli {

// How many letters must be changed, inserted, removed or swapped with their neighbour to turn one word into the other.
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            cost[i][j] = std::min(
                {cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

// nullopt if none is near: the word begins none of them, and more than a third of it would have to change. Long words
// are not searched for.
[[nodiscard]] inline std::optional<std::string> nearest(std::string_view word, const std::vector<std::string> &known) {
    if (word.empty() || word.size() > 40)
        return std::nullopt;
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 2);
    for (const auto &candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < candidate.size() && (distance < best_distance || (!best && distance == best_distance))) {
            best = candidate;
            best_distance = distance;
        }
    }
    if (best)
        return best;
    for (const auto &candidate : known)
        if (word.size() >= 2 && candidate.starts_with(word))
            return candidate;
    return std::nullopt;
}

// A message about a word that is none of the known ones.
[[nodiscard]] inline std::string unknown(const std::string &kind, const std::string &word,
                                         const std::vector<std::string> &known) {
    const bool is_letter = word.size() == 2 && word.starts_with('-');
    const auto meant = is_letter ? std::nullopt : nearest(word, known);
    return "unknown " + kind + " \"" + word + "\"" + (meant ? "; did you mean \"" + *meant + "\"?" : "");
}

}  // namespace rill::cli
