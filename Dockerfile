# One image for the web and the workers; compose.yaml says which is which.
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
RUN useradd --create-home pipekeeper
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
# Compiled once: the user cannot write beside the code, and every worker process imports it
RUN python -m compileall -q . && mkdir -p var && chown pipekeeper var
USER pipekeeper
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
CMD ["python", "manage.py", "serve"]
