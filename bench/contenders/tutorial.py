"""The function everybody writes, from the tutorials of its libraries. Numeric features."""

import io
import os
from typing import Any

import boto3
import joblib
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

logger = Logger()
metrics = Metrics()


def load_model() -> Any:
    bucket = os.environ.get("BUCKET")
    if bucket is None:
        return joblib.load("model.joblib")
    found = boto3.client("s3").get_object(Bucket=bucket, Key=os.environ["KEY"])
    return joblib.load(io.BytesIO(found["Body"].read()))


model = load_model()
app = FastAPI()


class Instances(BaseModel):
    instances: list[list[float]]


@app.post("/predict")
def predict(body: Instances) -> dict[str, Any]:
    predictions = model.predict(body.instances)
    metrics.add_metric(name="Predictions", unit=MetricUnit.Count, value=len(predictions))
    logger.info("predicted", extra={"rows": len(predictions)})
    return {"predictions": predictions.tolist()}


adapter = Mangum(app)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> Any:
    return adapter(event, context)
