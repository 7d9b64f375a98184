// PostGraphile 5 on the read model's rows under plain names, as its documentation has it for production.
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";

export default {
  extends: [PostGraphileAmberPreset],
  disablePlugins: ["PgIndexBehaviorsPlugin"], // so that it may filter by `deleted` and `withdrawn`, as ours does
  pgServices: [
    makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["plain"], poolConfig: { max: 10 } }),
  ],
  grafserv: { port: Number(process.env.PORT), host: "127.0.0.1", graphiql: false, watch: false },
  grafast: { explain: false },
};
