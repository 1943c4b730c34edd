# Sourced by `build`: the images that come from no registry. Those in images/ are on the node from the start, those in images-extra/
# are for load-image and for building on.

rootfs=$(mktemp -d)
trap 'rm -rf "$rootfs"' EXIT

base_image() { # name, root file system, configuration, folder
  "$here/mkimage" "$RIG_CACHE/$4/$1.tar" "rig.local/$1:1" "$2" "$3"
}

# The sandbox container of every pod.
if ! is_current image-pause "$here/tools/kube/pause/main.go" "$here/mkimage"; then
  mkdir -p "$rootfs/pause"
  (cd "$here/tools/kube" && CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$rootfs/pause/pause" ./pause)
  base_image pause "$rootfs/pause" '{"Entrypoint":["/pause"],"User":"65535:65535"}' images
  now_current image-pause
fi

if ! is_current image-coredns "$here/mkimage" - <<<"$(cat "$RIG_CACHE/stamp/coredns" 2>/dev/null)"; then
  mkdir -p "$rootfs/coredns"
  cp "$RIG_CACHE/bin/coredns" "$rootfs/coredns/"
  base_image coredns "$rootfs/coredns" '{"Entrypoint":["/coredns"]}' images
  now_current image-coredns
fi

# The folder of MinIO's binary is named by what it was made from.
if [ -n "$minio" ] && ! is_current image-minio "$here/mkimage" - <<<"$minio"; then
  mkdir -p "$rootfs/minio"/{data,tmp}
  cp "$minio" "$rootfs/minio/"
  base_image minio "$rootfs/minio" '{"Entrypoint":["/minio"],"Cmd":["server","/data"]}' images-extra
  now_current image-minio
fi

# Node on next to nothing: its libraries from this Debian machine at the paths where the loader looks, busybox, certificates.
node_rootfs() { # folder
  local root=$1 library applet libraries=lib/x86_64-linux-gnu
  mkdir -p "$root"/{bin,lib64,tmp,etc/ssl/certs,usr/bin,home/node,app,$libraries}
  chmod 1777 "$root/tmp"
  cp "$(readlink -f "$REPOSITORY/node_modules/node/bin/node")" "$root/usr/bin/node"
  ldd "$root/usr/bin/node" | grep -oE '/[^ )]+' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  for library in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do cp -L "/$libraries/$library" "$root/$libraries/"; done
  cp /bin/busybox "$root/bin/busybox"
  for applet in sh ls cat echo sleep kill ps wget nc nslookup id mkdir rm touch stat head tail grep sed date dd sync df du cp mv ln \
    chmod test true false hostname ip printf tar tr wc xargs find; do
    ln -s busybox "$root/bin/$applet"
  done
  ln -s ../../bin/busybox "$root/usr/bin/env"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  printf 'root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnode:x:1000:\n' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}
node_config='{"Entrypoint":["/usr/bin/node"],"Env":["PATH=/usr/bin:/bin","HOME=/tmp"],"WorkingDir":"/app","User":"1000:1000"}'
# Only for the build stages of Dockerfiles: as root, with an npm that knows this machine's registry and authorities.
NPM_VERSION=11.19.1
npm_settings="registry=$(cd "$REPOSITORY" && npm config get registry)
cafile=/etc/ssl/certs/ca-certificates.crt"
builder_config='{"Entrypoint":["/usr/bin/node"],"Env":["PATH=/usr/bin:/bin","HOME=/root"],"WorkingDir":"/app"}'

if ! is_current image-node26 "$here/base-images.sh" "$here/mkimage" "$REPOSITORY/node_modules/node/package.json" - <<<"$npm_settings"; then
  node_rootfs "$rootfs/node"
  base_image node26 "$rootfs/node" "$node_config" images
  (cd "$rootfs" && npm pack --silent "npm@$NPM_VERSION" >/dev/null && tar xzf "npm-$NPM_VERSION.tgz")
  mkdir -p "$rootfs/node/usr/lib/node_modules" "$rootfs/node/root"
  mv "$rootfs/package" "$rootfs/node/usr/lib/node_modules/npm"
  for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$rootfs/node/usr/bin/$name"; done
  echo "$npm_settings" >"$rootfs/node/usr/lib/node_modules/npm/npmrc"
  base_image node26-build "$rootfs/node" "$builder_config" images-extra
  now_current image-node26
fi
