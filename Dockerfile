FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && npm run build

# The bundle needs nothing but Node: PostgreSQL is the operator's, named by DATABASE_URL.
FROM node:24-bookworm-slim
WORKDIR /nemo
COPY --from=build /src/dist ./dist
ENV NODE_ENV=production NEMO_HOST=0.0.0.0 NEMO_DATA_DIR=/var/lib/nemo
RUN mkdir -p /var/lib/nemo && chown node:node /var/lib/nemo && chmod 700 /var/lib/nemo
VOLUME /var/lib/nemo
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s CMD ["node", "-e", "fetch('http://127.0.0.1:4000/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "dist/nemo.mjs"]
CMD ["start"]
