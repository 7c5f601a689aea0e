# The same PostgreSQL as another build: another digest, as when upstream rebuilds a tag.
ARG BASE
FROM ${BASE}
ENV LAB_BUILD=2
