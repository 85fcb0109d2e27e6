# Installs the packages given as arguments, as root, without starting a system-wide
# server and without making Debian's default PostgreSQL cluster: the project
# brings its own. Whatever existed before is left as it was.
set -eu
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 NEEDRESTART_SUSPEND=1

# While packages are set up, a policy that forbids starting services; taken away at the end.
policy=/usr/sbin/policy-rc.d
mark='# ticketremaster: while its packages install; may be removed'
if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' INT TERM HUP
	printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
	chmod 755 "$policy"
fi

# Debian asks this file whether to make a cluster "main". Only a file that is not there is written.
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$conf" ]; then
	mkdir -p "$(dirname "$conf")"
	printf '# Written by ticketremaster before it installed PostgreSQL.\ncreate_main_cluster = false\n' >"$conf"
fi

fresh=
for server in rabbitmq-server etcd-server patroni; do
	case " $* " in *" $server "*) fresh="$fresh ${server%-server}" ;; esac
done

apt-get update
apt-get install -y --no-install-recommends "$@"

# A server that was installed just now for us shall not start at the next boot either.
for server in $fresh; do
	[ "$server" != rabbitmq ] || server=rabbitmq-server
	if command -v update-rc.d >/dev/null; then update-rc.d "$server" disable >/dev/null 2>&1 || true; fi
	if command -v systemctl >/dev/null; then systemctl disable "$server" >/dev/null 2>&1 || true; fi
done
