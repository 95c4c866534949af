// What the pages are to show: experiments, nested runs, histories, data sets, artifacts, models. All of it is logged
// through REST, and every number is computed from its step, so that a test knows what it must see.

const STEPS = 300;
const BATCH = 100;

export const names = {
  experiment: "churn model",
  empty: "nothing logged yet",
  parent: "sweep",
  runs: ["fast learner", "slow learner", "diverged"],
  model: "churn-classifier",
  loggedModel: "gradient-boosting",
  prompt: "summarise",
};

/** Fills an empty server and tells the ids. */
export async function fill(api) {
  const began = Date.now() - 3_600_000;
  const create = async (name, tags) =>
    (await api("POST", "experiments/create", { name, tags })).experiment_id;
  const note = "Which customers **leave** next month";
  const experiment = await create(names.experiment, [{ key: "mlflow.note.content", value: note }]);
  const empty = await create(names.empty);

  const run = async (name, tags = {}) => {
    const list = Object.entries({ "mlflow.user": "ada", "mlflow.source.name": "train.py", ...tags });
    const made = await api("POST", "runs/create", {
      experiment_id: experiment,
      run_name: name,
      start_time: began,
      tags: list.map(([key, value]) => ({ key, value })),
    });
    return made.run.info.run_id;
  };
  const end = (run_id, status) =>
    api("POST", "runs/update", { run_id, status, end_time: began + 1_800_000 });

  const parent = await run(names.parent);
  const runs = [];
  for (const [index, name] of names.runs.entries()) {
    const id = await run(name, { "mlflow.parentRunId": parent, stage: "nightly" });
    runs.push(id);
    await logHistory(api, id, index, began);
    await api("POST", "runs/log-inputs", { run_id: id, datasets: [dataset()] });
    await end(id, name === "diverged" ? "FAILED" : "FINISHED");
  }
  await end(parent, "FINISHED");

  // Every run has some: MLflow's page to compare runs throws an exception when only the first one does.
  for (const id of runs) {
    await putArtifact(api, experiment, id, "report/summary.txt", "precision 0.91\nrecall 0.87\n");
    await putArtifact(api, experiment, id, "config.json", '{"depth": 6}');
  }
  const loggedModel = await logModel(api, experiment, runs[0]);
  await register(api, experiment, runs[0]);
  await registerPrompt(api);
  return { experiment, empty, parent, runs, loggedModel };
}

async function logHistory(api, run_id, index, began) {
  const params = { learning_rate: String(10 ** -(index + 1)), optimizer: "adam", layers: "4" };
  const metrics = [];
  for (let step = 0; step < STEPS; step++) {
    const timestamp = began + step * 1000;
    metrics.push({ key: "loss", value: Math.exp((-step / STEPS) * (3 - index)), timestamp, step });
    metrics.push({ key: "val/accuracy", value: 1 - Math.exp((-step / STEPS) * (3 - index)), timestamp, step });
  }
  for (let from = 0; from < metrics.length; from += BATCH) {
    await api("POST", "runs/log-batch", {
      run_id,
      metrics: metrics.slice(from, from + BATCH),
      params: from === 0 ? Object.entries(params).map(([key, value]) => ({ key, value })) : [],
    });
  }
  await api("POST", "runs/log-metric", { run_id, key: "final_score", value: 0.9 - index / 10, timestamp: began, step: 0 });
  if (index === 2) await api("POST", "runs/log-metric", { run_id, key: "loss", value: "NaN", timestamp: began, step: STEPS });
}

function dataset() {
  return {
    dataset: {
      name: "customers",
      digest: "4c1e2f90",
      source_type: "local",
      source: '{"uri": "customers.csv"}',
      schema: '{"mlflow_colspec": [{"type": "long", "name": "age", "required": true}]}',
      profile: '{"num_rows": 7043, "num_elements": 7043}',
    },
    tags: [{ key: "mlflow.data.context", value: "training" }],
  };
}

function putArtifact(api, experiment, run, file, text) {
  return api("PUT", `/api/2.0/mlflow-artifacts/artifacts/${experiment}/${run}/artifacts/${file}`, text);
}

async function logModel(api, experiment_id, source_run_id) {
  const made = await api("POST", "logged-models", {
    experiment_id,
    name: names.loggedModel,
    model_type: "",
    source_run_id,
    params: [{ key: "trees", value: "200" }],
    tags: [{ key: "team", value: "growth" }],
  });
  const { model_id } = made.model.info;
  await api("PUT", `/api/2.0/mlflow-artifacts/artifacts/${experiment_id}/models/${model_id}/artifacts/MLmodel`, "flavors: {}\n");
  await api("POST", "runs/outputs", { run_id: source_run_id, models: [{ model_id, step: 0 }] });
  await api("PATCH", `logged-models/${model_id}`, { model_id, status: "LOGGED_MODEL_READY" });
  await api("POST", "runs/log-metric", {
    run_id: source_run_id, model_id, key: "auc", value: 0.93, timestamp: Date.now(), step: 0,
  });
  return model_id;
}

async function register(api, experiment, run_id) {
  const name = names.model;
  await api("POST", "registered-models/create", {
    name, description: "Scores customers each night", tags: [{ key: "owner", value: "growth" }],
  });
  const source = `mlflow-artifacts:/${experiment}/${run_id}/artifacts/model`;
  await putArtifact(api, experiment, run_id, "model/MLmodel", "flavors: {}\n");
  for (const description of ["first try", "deeper trees"]) {
    await api("POST", "model-versions/create", {
      name, source, run_id, description, tags: [{ key: "validated", value: "yes" }],
    });
  }
  await api("POST", "registered-models/alias", { name, alias: "champion", version: "2" });
  await api("POST", "model-versions/transition-stage", { name, version: "1", stage: "Staging" });
}

async function registerPrompt(api) {
  const name = names.prompt;
  const mark = { key: "mlflow.prompt.is_prompt", value: "true" };
  await api("POST", "registered-models/create", { name, tags: [mark] });
  await api("POST", "model-versions/create", {
    name,
    source: "prompt-template",
    description: "first wording",
    tags: [mark, { key: "mlflow.prompt.text", value: "Summarise {{text}} in one sentence." }],
  });
}
