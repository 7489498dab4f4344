#include <map>

#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

// Words are split at spaces alone, because bash splits at ':' and '=' as well, and puts back only what stands
// after the last of these.
constexpr const char* kBash = R"script(# mdgenctl completion bash
_mdgenctl() {
  local line=${COMP_LINE:0:COMP_POINT} word cut answer candidate
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  word=${words[-1]}
  cut=${word%"${word##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r answer; do
    case $answer in
      :files) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word"); compopt -o filenames ;;
      :folders) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word"); compopt -o filenames ;;
      :*) ;;
      *) candidate=${answer%%$'\t'*}; COMPREPLY+=("${candidate#"$cut"}") ;;
    esac
  done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _mdgenctl mdgenctl
)script";

constexpr const char* kZsh = R"script(#compdef mdgenctl
# mdgenctl completion zsh
_mdgenctl() {
  local answer value
  local -a described
  for answer in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $answer in
      :files) _files ;;
      :folders) _files -/ ;;
      :*|'') ;;
      *) value=${answer%%$'\t'*}; described+=("${value//:/\\:}:${answer#*$'\t'}") ;;
    esac
  done
  (( ${#described} )) && _describe -t mdgenctl 'mdgenctl' described
  return 0
}
if [[ $funcstack[1] == _mdgenctl ]]; then
  _mdgenctl "$@"
else
  compdef _mdgenctl mdgenctl
fi
)script";

constexpr const char* kFish = R"script(# mdgenctl completion fish
function __mdgenctl_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for answer in ($words[1] __complete $words[2..-1] "$word" 2>/dev/null)
        switch $answer
            case ':files'
                __fish_complete_path $word
            case ':folders'
                __fish_complete_directories $word
            case ':*'
            case '*'
                echo $answer
        end
    end
end
complete -c mdgenctl -e
complete -c mdgenctl -f -a '(__mdgenctl_complete)'
)script";

}  // namespace

ExitCode print_completion(const Options& options, const Surroundings& world) {
  static const std::map<std::string, const char*> scripts = {{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}};
  world.out << scripts.at(options.shell) << std::flush;
  return kExitOk;
}

}  // namespace mdgen::client
