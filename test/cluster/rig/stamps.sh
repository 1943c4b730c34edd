# Sourced by what builds into $RIG_CACHE: builds only what is missing or made from other inputs, and says how long it took.
# A stamp is the digest of Go's version and of all inputs. With CHECK=1 nothing is built: `outdated` collects the names.

mkdir -p "$RIG_CACHE"/{bin,stamp,images,images-extra}
outdated=()

# is_current NAME INPUT_FILE... : whether what NAME stands for was made from these inputs ('-' = standard input).
is_current() {
  local name=$1
  shift
  digest=$({ go env GOVERSION; cat "$@"; } | sha256sum | cut -c1-32)
  [ "$(cat "$RIG_CACHE/stamp/$name" 2>/dev/null)" = "$digest" ] && return 0
  outdated+=("$name")
  since=$SECONDS
  [ -n "$CHECK" ]
}

# now_current NAME : what is_current said to be outdated has been made.
now_current() {
  echo "$digest" >"$RIG_CACHE/stamp/$1"
  echo "built $1 in $((SECONDS - since)) s"
}
