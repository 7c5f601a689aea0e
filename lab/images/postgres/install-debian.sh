# Installs PostgreSQL $1 from Debian. Without JIT: LLVM would double the size of every pull.
# Otherwise the package would use the next free uid.
groupadd --system --gid 999 postgres
useradd --system --gid 999 --uid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres
apt-get install -y --no-install-recommends postgresql-common
sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt-get install -y --no-install-recommends "postgresql-$1"
rm -rf "/usr/lib/postgresql/$1/lib/bitcode" /etc/ssl/private/*
find "/usr/lib/postgresql/$1/lib" -name 'llvmjit*' -delete
